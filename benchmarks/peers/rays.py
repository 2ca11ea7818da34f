"""A Ray on this machine, for the peers that run on one."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from unittest import mock

_QUIET = {
    # A machine without a home on the Internet would wait for the answer.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    # Ray's workers are as many processes as there are trials at once, however few the cores are.
    "RAY_DISABLE_MEMORY_MONITOR": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Without tracking, sparkopt writes no files for its trials either.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune's later manner prints boxes even where it is told to be quiet.
    "RAY_AIR_NEW_OUTPUT": "0",
}


@contextlib.contextmanager
def ray_of(parallelism: int) -> Iterator[None]:
    """A Ray that runs so many trials at once, until the end of the block."""
    import ray

    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as directory,
        mock.patch.dict(os.environ, _QUIET),
    ):
        ray.init(
            num_cpus=parallelism,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=directory,
        )
        try:
            yield
        finally:
            ray.shutdown()
