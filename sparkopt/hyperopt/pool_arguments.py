"""Arguments of SparkTrials that are the pool's, where there is one."""

from __future__ import annotations

from typing import Any

from sparkopt.control import Control
from sparkopt.errors import RefusedError
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.wire.arguments import refuse_type


def check_pool(
    pool: WorkerPool | None, given: tuple[Any, ...], control: bool | str | Control | None, start_timeout: Any
) -> None:
    """Refuse arguments that come with a pool and are to be given to that.

    Args:
        pool: whose workers to use; None for a pool of the search's own.
        given: parallelism, spark_session, resource_profile and elastic.
        control: how the search is opened to control.
        start_timeout: how long its workers may take to start.

    Raises:
        RefusedError: if there is one, or the pool is none.
    """
    if pool is None:
        return
    if not isinstance(pool, WorkerPool):
        refuse_type("pool", pool, "None or a WorkerPool")
    if any(value is not None for value in given):
        raise RefusedError(
            "with pool=..., parallelism, spark_session, resource_profile and elastic are the pool's: give"
            " them to WorkerPool instead"
        )
    if control:
        raise RefusedError(
            "with pool=..., control is the pool's: give it to WorkerPool instead, and ask the pool for its"
            " control_address"
        )
    if start_timeout is not None:
        raise RefusedError("with pool=..., start_timeout is the pool's: give it to WorkerPool instead")
