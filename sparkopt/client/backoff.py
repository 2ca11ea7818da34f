"""Rules for a stream that has ended: is it worth another try, how long to wait, and when to give up."""

from __future__ import annotations

import random
import time
from typing import Final

from sparkopt.errors import ControlError, LimitExceededError, UnreachableError

_FIRST: Final = 0.1
_LAST: Final = 5.0


class Backoff:
    """The waits between tries: twice as long each time, with some chance in it, up to five seconds.

    Args:
        patience: seconds after which there are no more tries.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """It worked: the next trouble is a new one."""
        self._wait = _FIRST
        self._since: float | None = None

    def next(self) -> float | None:
        """Seconds to wait before the next try; None when it is time to give up."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        left = self._since + self._patience - now
        if left <= 0:
            return None
        wait = self._wait * random.uniform(0.5, 1.0)
        self._wait = min(_LAST, 2 * self._wait)
        return min(wait, left)


def passes(error: ControlError) -> bool:
    """Returns whether a stream that has stood may stand again a moment after this."""
    if isinstance(error, LimitExceededError):
        # The stream before may count for as long as the service has not noticed that it was cut, and who had
        # nothing to send may have something by now.
        return error.reason in ("TOO_SLOW", "TOO_MANY_STREAMS", "NOTHING_SENT")
    # With a reason it is the service that says so, or this client: the pool or the client was closed.
    return isinstance(error, UnreachableError) and not error.reason
