"""docs/logging.md leaves no logger out, and names none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")


def test_every_logger_is_there():
    made = set()
    for path in (ROOT / "sparkopt").rglob("*.py"):
        if path.name != "actor_log.py":
            text = path.read_text(encoding="utf-8")
            made |= set(re.findall(r'ActorLog\("(\w+)"\)', text))
            made |= set(re.findall(r'getLogger\("sparkopt\.(\w+)"\)', text))
    assert {"study", "coordinator", "worker"} <= made
    assert made == set(re.findall(r"^\| `sparkopt\.(\w+)` \|", PAGE, re.MULTILINE))
