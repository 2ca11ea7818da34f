"""Watch over the tasks that workers run in, which hears from the coordinator of workers that come and go."""

from __future__ import annotations

from sparkopt.wire.v1 import worker_pb2


class TaskWatch:
    """Hears of workers, in the coordinator's thread, where it must neither wait nor raise.

    This one ignores it all.
    """

    def joined(self, hello: worker_pb2.Hello) -> None:
        """A worker has said hello, for the first time or again."""

    def cut(self, worker: str) -> None:
        """A worker cannot be reached, or has left. Its task may have ended."""
