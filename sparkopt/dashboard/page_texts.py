"""Pages of ours that are text: the one that asks for a token, and those around the assets."""

from __future__ import annotations

import html
from importlib import resources
from typing import Final

_ASSETS: Final = resources.files("sparkopt.dashboard") / "assets"


def asset(name: str) -> str:
    """Text of a file of the page."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def login_page(trouble: str) -> str:
    """The page that asks for the token.

    Args:
        trouble: what was wrong with the last one; empty for nothing.
    """
    return asset("login.html").replace("{trouble}", html.escape(trouble))


def search_page(guard: str) -> str:
    """The page of workers and running trials.

    Args:
        guard: text that its requests carry; empty if it may only be looked at.
    """
    return asset("search.html").replace("{guard}", html.escape(guard, quote=True))


_BACK: Final = (
    '<a href="/" style="position:fixed;left:72px;bottom:12px;z-index:2000;padding:8px 14px;'
    "border-radius:20px;background:#1c4a8c;color:#fff;font:14px system-ui,sans-serif;text-decoration:none;"
    'box-shadow:0 1px 5px rgba(0,0,0,.45)">Workers and controls</a></body>'
)


def with_way_back(page: bytes) -> bytes:
    """A page of optuna-dashboard, with a link to ours."""
    return page.replace(b"</body>", _BACK.encode(), 1)
