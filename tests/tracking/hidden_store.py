"""A tracked search whose workers cannot see the store's directory; a process of its own.

    python hidden_store.py DIRECTORY URI

The store is in the directory. Workers run in a mount namespace in which it is empty.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cloudpickle
from mlflow import MlflowClient

from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session
from tests.support import study_tools
from tests.support.study_tools import CASE, in_order

cloudpickle.register_pickle_by_value(study_tools)

HIDING = """#!/bin/sh
exec unshare --map-root-user --mount sh -c 'mount -t tmpfs none "$0" && exec "$@"' {hidden} {python} "$@"
"""


def main(directory: Path, uri: str) -> None:
    """Search, with the store in the directory."""
    python = directory.with_name("python")
    python.write_text(HIDING.format(hidden=directory, python=sys.executable))
    python.chmod(0o755)
    os.environ["PYSPARK_PYTHON"] = str(python)
    os.environ["MLFLOW_TRACKING_URI"] = uri
    experiment = MlflowClient().create_experiment("hidden", str(directory / "artifacts"))
    os.environ["MLFLOW_EXPERIMENT_ID"] = experiment
    session = get_session(settings={"spark.master": "local[2]", "spark.ui.enabled": "false"})
    session.sparkContext.setLogLevel("OFF")
    place = str(directory)

    def objective(case):
        import mlflow

        seen = sorted(path.name for path in Path(place).iterdir())
        mlflow.log_metric("twice", 2 * case)
        mlflow.log_text("words", "notes/words.txt")
        mlflow.set_tag("seen", repr(seen))
        return case

    trials = SparkTrials(2, spark_session=session, tracking=True)
    fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
    session.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
