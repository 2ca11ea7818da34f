"""Objective that sleeps. Workers import this module, so it imports next to nothing itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.sleeping.lookup import Lookup

_SLICE: Final = 0.1
"""Seconds that a trial sleeps at most before it looks whether the search is over."""

Report = Callable[[float, int], Any]
"""Takes the loss after a step, and the step, from 1; raises if the trial is to stop."""


class Sleeping:
    """An objective that sleeps as long as a recorded trial took, and notes its loss.

    A search is over when a trial has ended with a loss that is small enough, or when the time is up; then all
    other trials end at once and have no loss. So whoever runs the search, it need not know how to stop.

    Args:
        lookup: what a trial of a point is like.
        place: an empty directory.
        threshold: a loss that is small enough.
        deadline: when the time is up; since the epoch.
        seconds: that a trial takes whose time in the lookup is 1.
        report: called after each step; None to report nothing.
    """

    def __init__(
        self,
        lookup: Lookup,
        place: str,
        threshold: float,
        deadline: float,
        seconds: float,
        report: Report | None = None,
    ) -> None:
        self.lookup, self.place, self.threshold = lookup, place, threshold
        self.deadline, self.seconds, self.report = deadline, seconds, report

    @property
    def over(self) -> bool:
        """True once a trial has reached the loss, or the deadline has passed."""
        return os.path.exists(self._path("over")) or time.time() > self.deadline  # noqa: PTH110

    def __call__(self, point: Mapping[str, float]) -> Any:
        """Run a trial, and answer as hyperopt's objectives do."""
        loss = self.run(point, self.report)
        return {"status": "fail"} if loss is None else loss

    def run(self, point: Mapping[str, float], report: Report | None = None) -> float | None:
        """Run a trial.

        Args:
            point: where.
            report: called after each step, if there are several or not.

        Returns:
            Its loss; None if the search was over first.
        """
        losses, took = self.lookup(point)
        now = time.monotonic()
        for step, loss in enumerate(losses, 1):
            now += took * self.seconds / len(losses)
            if not self._sleep(now):
                return None
            if report is not None:
                report(loss, step)
        self._note(losses[-1])
        return losses[-1]

    def notes(self) -> list[tuple[float, float]]:
        """Trials that have ended so far: the time of each, in seconds since the epoch, and its loss."""
        path = Path(self._path("losses"))
        lines = path.read_text().splitlines() if path.exists() else []
        return [(float(when), float(loss)) for when, loss in map(str.split, lines)]

    def _sleep(self, until: float) -> bool:
        """Sleep; returns False if the search was over first."""
        while not self.over:
            left = until - time.monotonic()
            if left <= 0:
                return True
            time.sleep(min(left, _SLICE))
        return False

    def _note(self, loss: float) -> None:
        file = os.open(self._path("losses"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{time.time()!r} {loss!r}\n".encode())
        os.close(file)
        if loss <= self.threshold:
            os.close(os.open(self._path("over"), os.O_WRONLY | os.O_CREAT))

    def _path(self, name: str) -> str:
        return os.path.join(self.place, name)  # noqa: PTH118
