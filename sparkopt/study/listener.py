"""Listener of a study, told what becomes of its trials: tracking and progress bars are listeners.

Called in the study's thread, with records that are the study's to change and the listener's to read.
Nothing is called at the end: when ``Study.run`` has returned or raised, everything has been heard.

    opened ─▶ proposed(records) ─▶ started(record) … ─▶ reported(record, values) … ─▶ settled(record)
                                    each attempt                                       once each
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sparkopt.coordinator import StudyChannel
    from sparkopt.study.trial_record import TrialRecord
    from sparkopt.wire.value_series import ValueSeries

T = TypeVar("T")


class Listener:
    """A listener that does nothing; derive from it what hears of some of this.

    A listener should not raise. What it raises ends the study, once the other listeners have heard of the
    same trial; every trial gets its final state, and each listener hears of it.

    Example:
        >>> import math
        >>> from sparkopt.study.listener import Listener
        >>> class Best(Listener):
        ...     best = math.inf
        ...
        ...     def settled(self, record):
        ...         if record.status == "success" and record.loss is not None:
        ...             self.best = min(self.best, record.loss)
    """

    def opened(self, channel: StudyChannel) -> None:
        """The study is about to propose; workers may still be starting. Called first, and once."""

    def proposed(self, records: Sequence[TrialRecord]) -> None:
        """These trials are about to be submitted."""

    def started(self, record: TrialRecord) -> None:
        """An attempt was sent to a worker.

        This may be heard before the trial settles that the same worker had before.
        """

    def reported(self, record: TrialRecord, values: ValueSeries) -> None:
        """The objective has reported intermediate values since the last call.

        The study says so when it looks, after an algorithm that takes long for instance: then all that has
        come meanwhile is in one call. All of a trial's values are heard before it settles.

        Args:
            record: of a trial that runs; its ``reports`` have the values already.
            values: in the order in which they were reported, thinned if there were very many.
        """

    def settled(self, record: TrialRecord) -> None:
        """A trial that was proposed has its final state.

        The proposer has taken it in (``finish``), and is asked next whether the study ends. A trial whose
        argument could not be made settles without having started. In a line, an error is
        ``failures.gist(record.error.kind, record.error.text)``.
        """

    def asked(self, count: int) -> None:
        """A client has asked for ``count`` more trials than the study was to run."""

    def workers(self, present: int) -> None:
        """``present`` workers are in the pool: one has come, or they were there before the study began."""


class Listeners(Listener):
    """Several listeners as one. A method that a listener leaves as it is in :class:`Listener` is not called.

    All of them are called, whatever one of them raises. What the first has raised that raised something is
    raised once all were called.

    Args:
        listeners: in the order in which they are called.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        def methods(name: str) -> list[Callable[..., None]]:
            own = getattr(Listener, name)
            found = [getattr(listener, name) for listener in listeners]
            return [method for method in found if getattr(method, "__func__", method) is not own]

        self._opened, self._proposed, self._started = map(methods, ("opened", "proposed", "started"))
        self._settled, self._asked, self._workers = map(methods, ("settled", "asked", "workers"))
        self._reported = methods("reported")

    def opened(self, channel: StudyChannel) -> None:
        """Tell all that the study is about to propose."""
        _call(self._opened, channel)

    def proposed(self, records: Sequence[TrialRecord]) -> None:
        """Tell all what is about to be submitted."""
        if self._proposed:
            _call(self._proposed, records)

    def started(self, record: TrialRecord) -> None:
        """Tell all that an attempt was sent to a worker."""
        if self._started:
            _call(self._started, record)

    def reported(self, record: TrialRecord, values: ValueSeries) -> None:
        """Tell all that an objective has reported intermediate values."""
        if self._reported:
            _call([partial(method, record) for method in self._reported], values)

    def settled(self, record: TrialRecord) -> None:
        """Tell all that a trial has its final state."""
        if self._settled:
            _call(self._settled, record)

    def asked(self, count: int) -> None:
        """Tell all that somebody outside wants more trials."""
        _call(self._asked, count)

    def workers(self, present: int) -> None:
        """Tell all how many workers there are now."""
        _call(self._workers, present)


def _call(methods: Sequence[Callable[[T], None]], given: T) -> None:
    first: BaseException | None = None
    for method in methods:
        try:
            method(given)
        except BaseException as error:  # noqa: BLE001 - raised below
            first = first or error
    if first is not None:
        raise first
