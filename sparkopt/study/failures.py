"""Failures of a search's trials: counts them by their reason, and words them for the user.

an error, a result that says that it is none ──▶ Failures ──▶ the first as it happens, and all at the end
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sparkopt.errors import MissingModuleError
from sparkopt.wire.modules.missing_modules import missing

_GROUPS: Final = 100
"""So many kinds of failures are told apart; the rest is counted together."""

_SHOWN: Final = 5
_TIMES: Final = " \u00d7 "
_CHARACTERS: Final = 300
_VARYING: Final = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")
_FRAME: Final = re.compile(r'^[ |]*File "(.+)", line (\d+), in .*\n(?:[ |]*(.*))?', re.MULTILINE)
_TRACEBACK: Final = "Traceback (most recent call last)"


@dataclass(slots=True)
class _Group:
    """Failures that are alike.

    Attributes:
        said: what the first of them said.
        first: the first one's trial.
        count: how many there are.
    """

    said: str
    first: int
    count: int = 0


class Failures:
    """Failures of the trials of one search.

    Attributes:
        count: how many trials have failed.
        errors: how many of these have raised something, or have no result for another reason.
        has_results: whether a trial has had a result.
        fatal: error to end the search with, as every other trial would fail alike; None if there is none.
    """

    def __init__(self) -> None:
        self.count = self.errors = 0
        self.has_results = False
        self.fatal: MissingModuleError | None = None
        self._latest = (-1, "", "")
        self._groups: dict[str, _Group] = {}
        self._others = 0

    def raised(self, tid: int, kind: str, text: str) -> None:
        """Something was raised.

        Args:
            tid: of the trial.
            kind: its type, as Python writes a class.
            text: its traceback, or its message.
        """
        self.errors += 1
        self._note(tid, gist(kind, text), text)
        self.fatal = self.fatal or missing(kind, text, self.has_results)

    def returned(self, tid: int, fault: str) -> None:
        """The objective returned what says of itself that the trial has failed.

        Args:
            tid: of the trial.
            fault: as in a :class:`~sparkopt.study.trial_record.TrialRecord`.
        """
        self._note(tid, f"the objective returned the {fault}")

    @property
    def latest(self) -> str:
        """The latest failure as a sentence: the trial, the message, and its place in the code."""
        tid, said, text = self._latest
        return f"trial {tid} failed: {said}{_place(text)}"

    def _note(self, tid: int, said: str, text: str = "") -> None:
        self.count += 1
        self._latest = (tid, said, text)
        alike = _VARYING.sub("#", said)
        group = self._groups.get(alike)
        if group is None:
            if len(self._groups) == _GROUPS:
                self._others += 1
                return
            group = self._groups[alike] = _Group(said, tid)
        group.count += 1

    def summary(self) -> str:
        """Why trials failed, the most frequent reason first: how often, what was said, and where first."""
        groups = sorted(self._groups.values(), key=lambda group: -group.count)
        said = [f"{each.count}{_TIMES}{each.said} (first: trial {each.first})" for each in groups[:_SHOWN]]
        rest = self._others + sum(group.count for group in groups[_SHOWN:])
        return "; ".join([*said, f"{rest}{_TIMES}something else"] if rest else said)


def gist(kind: str, text: str) -> str:
    """Summarizes an exception in one line: its type and the first line of its message.

    Args:
        kind: the type, as Python writes a class: ``<class 'ValueError'>``.
        text: a traceback, or a message.
    """
    name = kind.removeprefix("<class '").removesuffix("'>")
    lines = [line.strip(" |+-") for line in text.splitlines() if line.strip(" |+-")]
    named = tuple(f"{each}{end}" for each in {name, name.removeprefix("__main__.")} for end in (":", ""))
    if _TRACEBACK in text.partition("\n")[0]:
        found = next((line for line in reversed(lines) if line.startswith(named)), lines[-1])
    else:
        found = lines[0] if lines else ""
    for start in sorted(named, key=len, reverse=True):
        if found.startswith(start):
            found = found[len(start) :].strip()
            break
    short = name.removeprefix("__main__.").removeprefix("sparkopt.errors.")
    return (f"{short}: {found}" if found else short)[:_CHARACTERS]


def _place(text: str) -> str:
    """Returns the file and line of a traceback's last frame in parentheses; empty if there is none."""
    frames = _FRAME.findall(text)
    if not frames:
        return ""
    file, line, source = frames[-1]
    shown = source.strip()
    return f" ({file}, line {line}{': ' + shown if shown and not shown.startswith('File ') else ''})"
