"""A search that somebody is about to end."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sparkopt import fmin
from tests.support.study_tools import CASE, in_order


@contextmanager
def searching(trials, objective, directory, prepare=lambda: None):
    """A search in a thread of its own, which has ended with the block.

    Args:
        trials: where it puts its documents.
        objective: waits at named pipes in the directory.
        directory: where these are. If the search has not ended by itself, nobody waits there any more.
        prepare: called by the thread.
    """

    def search():
        prepare()
        return fmin(objective, CASE, in_order, 100, trials=trials, verbose=False)

    with ThreadPoolExecutor(1) as thread, ExitStack() as released:
        running = thread.submit(search)
        try:
            yield running
        finally:
            for pipe in filter(Path.is_fifo, Path(directory).iterdir()):
                descriptor = os.open(pipe, os.O_RDWR)
                released.callback(os.close, descriptor)
                os.write(descriptor, bytes(100))
            wait([running])
