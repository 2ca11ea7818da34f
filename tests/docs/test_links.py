"""Links and names of files in the documentation lead somewhere."""

from __future__ import annotations

import re

import pytest

from tests.docs.links import LINK, anchors
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docs/**/*.md")])
SOURCE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|proto|toml|sh|md))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page):
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), path
        if anchor:
            assert anchor in anchors(there), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page):
    for path in SOURCE.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists() or (ROOT / "sparkopt" / path).exists(), path
