"""Listener: who hears what becomes of a study's trials, such as tracking and progress bars.

Called in the study's thread, with records that are the study's to change and the listener's to read.
Nothing is called at the end: when ``Study.run`` has returned or raised, everything has been heard.

    opened ─▶ proposed(records) ─▶ started(record) … ─▶ settled(record), once for each that was proposed
                                    each attempt
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkopt.coordinator import StudyChannel
    from sparkopt.study.trial_record import TrialRecord


class Listener:
    """A listener that does nothing; derive from it what hears of some of this.

    A listener should not raise. What it raises ends the study, once the other listeners have heard of the
    same trial; every trial gets its final state, and each listener hears of it.

    Example:
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

    def settled(self, record: TrialRecord) -> None:
        """A trial that was proposed has its final state.

        The proposer has taken it in (``finish``), and is asked next whether the study ends. A trial whose
        argument could not be made settles without having started. In a line, an error is
        ``failures.gist(record.error.kind, record.error.text)``.
        """

    def asked(self, count: int) -> None:
        """Somebody outside has asked for so many trials, beside those that there were to be."""

    def workers(self, present: int) -> None:
        """So many workers are there now: one more has come, or the pool had them before the study began."""


def tell(listeners: Sequence[Listener], call: str, *given: Any) -> None:
    """Call a method of every listener.

    Args:
        listeners: all of them are called, whatever one of them raises.
        call: the name of the method.
        given: what it takes.

    Raises:
        BaseException: what the first has raised that raised something, once all were called.
    """
    first: BaseException | None = None
    for listener in listeners:
        try:
            getattr(listener, call)(*given)
        except BaseException as error:  # noqa: BLE001 - raised below
            first = first or error
    if first is not None:
        raise first
