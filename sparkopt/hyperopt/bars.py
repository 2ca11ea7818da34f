"""Progress bars as hyperopt has them, the user's own included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from sparkopt.errors import ArgumentTypeError
from sparkopt.study.progress import Bar
from sparkopt.wire.arguments import shown

ProgressFactory = Callable[..., AbstractContextManager[Bar]]

_MUST: Final = "show_progressbar must, when it is called, return"


@contextmanager
def opened_bar(factory: ProgressFactory, initial: int, total: int) -> Iterator[Bar]:
    """The bar of a search, for as long as it runs.

    Args:
        factory: what ``show_progressbar`` says makes one.
        initial: how many trials have finished before.
        total: how many there will be.

    Raises:
        ArgumentTypeError: if that makes no context manager, or one that has no bar.
    """
    manager = factory(initial=initial, total=total)
    if not all(hasattr(type(manager), name) for name in ("__enter__", "__exit__")):
        raise ArgumentTypeError(f"{_MUST} a context manager with the bar; it returned {shown(manager)}")
    with manager as bar:
        if not callable(getattr(bar, "update", None)):
            raise ArgumentTypeError(
                f"{_MUST} a context manager with a bar, whose update(n) counts trials; it was {shown(bar)}"
            )
        yield bar
