"""Arguments of a search that are the pool's, where it is given one."""

from __future__ import annotations

from typing import Any

from sparkopt.errors import RefusedError
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.wire.arguments import refuse_type


def check_pool(pool: Any, **given: Any) -> WorkerPool:
    """The pool that a search is given, unless arguments come with it that belong to the pool.

    Args:
        pool: the pool whose workers to use.
        given: those arguments, by name; None for each that is left out.

    Raises:
        RefusedError: if there is such an argument, or ``pool`` is not a WorkerPool.
    """
    if not isinstance(pool, WorkerPool):
        hint = f"make one: {pool.__name__}(...)" if isinstance(pool, type) else ""
        refuse_type("pool", pool, "None or a WorkerPool", hint)
    names = [name for name, value in given.items() if value is not None]
    if names:
        *others, last = names
        listed = f"{', '.join(others)} and {last} are" if others else f"{last} is"
        them = "them" if others else "it"
        asks = ", and ask the pool for its control_address" if "control" in names else ""
        raise RefusedError(f"with pool=..., {listed} the pool's: give {them} to WorkerPool instead{asks}")
    return pool
