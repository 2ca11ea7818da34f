"""A study in MLflow from its first trial to its end, for any front end. Loads MLflow when it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sparkopt.study.search_summary import SearchSummary
from sparkopt.tracking import installed

if TYPE_CHECKING:
    from sparkopt.tracking.study_description import StudyDescription
    from sparkopt.tracking.tracker import Tracker
    from sparkopt.tracking.tracking_settings import Tracking


@contextmanager
def recorded(
    description: StudyDescription,
    settings: Tracking,
    summary: Callable[[], SearchSummary],
    *,
    shown: bool,
    shows_elsewhere: Callable[[int], bool] = lambda left: False,
) -> Iterator[Tracker]:
    """Record a study from its first trial to its end, which is when everything is written.

    The study's own run is FINISHED if a trial has succeeded, KILLED if the user has interrupted the study,
    and FAILED otherwise.

    Args:
        description: of the study.
        settings: how it is tracked.
        summary: says how the study has ended.
        shown: whether to show what is left to write at the end.
        shows_elsewhere: shows how many are left where the study is shown, and returns whether it does.

    Yields:
        The listener that records the study's trials.

    Raises:
        TrackingError: at the start, if MLflow or the tracking store cannot be used.
    """
    try:
        from sparkopt.tracking.tracker import Tracker
    except ImportError as error:
        raise installed.unusable(error) from error

    tracker = Tracker(description, settings)
    status, said = "FAILED", SearchSummary({})
    try:
        yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        try:
            said = summary()
        finally:
            if status == "FINISHED" and not said.counts.get("successful"):
                status = "FAILED"
            with left_to_write(shown, shows_elsewhere) as waiting:
                tracker.close(said, status, waiting)


@contextmanager
def left_to_write(
    shown: bool, shows_elsewhere: Callable[[int], bool] = lambda left: False
) -> Iterator[Callable[[int], None]]:
    """A line on standard error while there is something to wait for, unless that is shown elsewhere."""
    bars: list[Any] = []

    def waiting(left: int) -> None:
        if not shown or shows_elsewhere(left):
            return
        if not bars:
            bars.append(tqdm(total=left, desc="writing to MLflow", unit="record", leave=False))
        (bar,) = bars
        bar.n = max(0, bar.total - left)
        bar.refresh()

    try:
        yield waiting
    finally:
        for bar in bars:
            bar.close()
