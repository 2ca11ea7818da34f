"""Logger of process A, `sparkopt.worker`, which writes to the executor's log.

Its lines take the way of what evaluators write (:mod:`sparkopt.worker.output`), so that no message waits for
a log that takes nothing: while that has too much to take, messages are left out.
"""

from __future__ import annotations

import logging
from typing import Final

from sparkopt.wire.actor_log import ActorLog
from sparkopt.worker.output import Output

LOG: Final = ActorLog("worker")

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _ToOutput(logging.Handler):
    """Hands messages to the output of this process's evaluators.

    Args:
        output: where they go.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        self._output.say(self.format(record))


def write_to(output: Output, level: int) -> None:
    """Have the logger write to the executor's log. For process A alone, which ends with its pool.

    Args:
        output: takes the lines.
        level: messages below it are not made; the driver's logger of the same name has had it.
    """
    logger = logging.getLogger("sparkopt.worker")
    logger.setLevel(level)
    logger.propagate = False
    logger.addHandler(_ToOutput(output))
