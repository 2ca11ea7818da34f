"""A search with everything on, that looks for its pool's tokens wherever somebody else might look. A script.

Has a Python process to itself. Its arguments are a directory for all that the search leaves, and a file for
the tokens, which is not in that directory. Says where a token was found, as a line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import sys
import urllib.request
from pathlib import Path

import grpc
import mlflow
import psutil
from hyperopt import hp, rand

from sparkopt import Control, SparkTrials, WorkerPool, fmin
from sparkopt.spark.session import get_session
from sparkopt.wire.tokens import bearer

PAGES = [
    *("/jobs/", "/jobs/job/?id={job}", "/stages/", "/stages/stage/?id={stage}&attempt=0", "/storage/"),
    *("/environment/", "/executors/", "/SQL/", "/SQL/execution/?id={query}"),
    *(
        "/api/v1/applications/{app}/" + name
        for name in ("jobs", "stages?details=true", "environment", "executors", "sql?details=true", "logs")
    ),
]


def objective(x: float) -> float:
    import mlflow

    mlflow.log_param("seen", x)
    return x * x


def where_others_look(session, pool: WorkerPool, trials: SparkTrials):
    """Each place, with what is to be seen there."""
    context = session.sparkContext
    tracker = context.statusTracker()
    (job,) = tracker.getActiveJobsIds()
    (stage,) = tracker.getActiveStageIds()
    names = {"app": context.applicationId, "job": job, "stage": stage, "query": 0}
    for page in PAGES:
        with urllib.request.urlopen(context.uiWebUrl + page.format(**names)) as answer:
            yield page, answer.read()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            seen = [*process.cmdline(), *process.environ().values()]
            yield f"ps: {process.name()}", "\n".join(seen).encode()
    for value in (pool, trials, pool._endpoint, pool._control, pool._control._control):
        yield f"repr of {type(value).__name__}", repr(value).encode()
    yield "the pickled trials", pickle.dumps(trials)
    for token in (None, pool.control_token[:-1], pool.control_read_only_token):
        yield "a refusal", refusal(pool.control_address, token)


def refusal(address: str, token: str | None) -> bytes:
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/sparkopt.v1.ControlService/Pause")
        try:
            call(b"", metadata=() if token is None else bearer(token))
        except grpc.RpcError as error:
            return f"{error.code()} {error} {error.trailing_metadata()}".encode()
    raise AssertionError("the call was answered")


def main(directory: Path, tokens_file: Path) -> None:
    logging.basicConfig(level=logging.DEBUG)
    (directory / "events").mkdir()
    mlflow.set_tracking_uri(f"sqlite:///{directory}/mlflow.db")
    settings = {
        "spark.master": "local[2]",
        "spark.ui.port": "0",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{directory}/events",
        "spark.local.dir": f"{directory}/local",
    }
    session = get_session(settings=settings)
    found = []
    with WorkerPool(2, spark_session=session, control=Control(token_file=tokens_file)) as pool:
        tokens = [pool.control_token, pool.control_read_only_token, pool._endpoint.token]
        tokens_file.with_suffix(".all").write_text("\n".join(tokens))
        trials = SparkTrials(pool=pool, journal=directory / "journal", tracking=True)
        fmin(objective, hp.uniform("x", 0, 1), rand.suggest, 3, trials=trials, show_progressbar=False)
        for place, content in where_others_look(session, pool, trials):
            found += [place for token in tokens if token.encode() in content]
    session.stop()
    print(json.dumps({"found": found, "trials": len(trials)}))  # noqa: T201


if __name__ == "__main__":
    os.umask(0o077)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
