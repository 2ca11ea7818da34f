"""The way in: what a barrier task calls.

Spark uses a Python worker again for other jobs, so this process stays as it was: it forks process A, which
does everything, and waits for it. It loads no grpc and starts no thread; whatever else process A needs is
loaded here, so that the next pool's A finds it loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sparkopt.errors import SparkoptError
from sparkopt.wire import convert  # noqa: F401 - with it the messages and the core's words
from sparkopt.worker import outbox, processes  # noqa: F401
from sparkopt.worker.spec import WorkerSpec
from sparkopt.worker.supervisor import NurseryHandle


class WorkerFailedError(SparkoptError):
    """A worker's process A ended though nobody asked for that."""


def run(spec: WorkerSpec, slot: int) -> int:
    """Be a worker until the coordinator expels it.

    Args:
        spec: the gang's description.
        slot: which of the gang's workers this is.

    Returns:
        How many trials it ran.

    Raises:
        WorkerFailedError: if the worker could not go on; the message says why. Never for what an objective
            did.
    """
    leash, leash_holder = os.pipe()
    report, report_writer = os.pipe()
    directory = Path(tempfile.mkdtemp(prefix="sparkopt-worker-"))

    def process_a() -> None:
        os.close(leash_holder)
        os.close(report)
        answer = _work(spec, slot, directory, leash)
        with contextlib.suppress(BrokenPipeError):  # the barrier task may be gone
            os.write(report_writer, json.dumps(answer).encode())

    pid = processes.fork(process_a)
    os.close(leash)
    os.close(report_writer)
    try:
        with os.fdopen(report, "rb") as stream:
            said = stream.read()
    finally:
        os.close(leash_holder)
        _, status = os.waitpid(pid, 0)
        shutil.rmtree(directory, ignore_errors=True)  # in case that process A could not
    answer = json.loads(said) if said else {}
    if "trials" not in answer:
        why = answer.get("error") or f"its process ended: {processes.describe_exit(status)}"
        raise WorkerFailedError(f"{spec.name(slot)} could not go on: {why}")
    trials: int = answer["trials"]
    return trials


def _work(spec: WorkerSpec, slot: int, directory: Path, leash: int) -> dict[str, Any]:
    # Out of the group that Spark's daemon hangs up on when the session is stopped: this process learns of the
    # end of its task by the leash, and cleans up.
    os.setsid()
    processes.adopt_orphans()
    nursery = NurseryHandle(directory)
    try:
        # Only now: grpc must not be loaded when the nursery is forked.
        from sparkopt.worker import agent

        return agent.main(spec, slot, directory, nursery, leash)
    except Exception as error:  # noqa: BLE001 - told to the driver, which raises it
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        nursery.bury()
        processes.bury_children()  # there are some only if the nursery was killed
        shutil.rmtree(directory, ignore_errors=True)
