"""Processes that tests start."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process, which is waited for at the block's end, and killed if that is an error.

    Popen alone waits then for a process that nobody ends any more, and the error is never seen.

    Args:
        command: the words of it.
        options: of Popen.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
