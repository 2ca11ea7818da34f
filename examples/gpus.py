"""A search whose trials have a GPU each: Spark assigns GPUs to tasks, a trial sees that of its worker.

    python examples/gpus.py [MASTER]

MASTER is a standalone cluster whose workers have GPUs (spark.worker.resource.gpu.amount and discoveryScript).
On YARN and Kubernetes, and with spark-submit, give the settings below there. Without a master the script
searches on this machine, where Spark assigns no GPUs: the trials say so.
"""

import os
import sys

from hyperopt import hp, tpe
from pyspark.sql import SparkSession

import sparkopt
from sparkopt import SparkTrials, fmin

GPUS = {
    "spark.executor.resource.gpu.amount": "1",
    "spark.task.resource.gpu.amount": "1",  # of each worker, so as many trials run at once as there are GPUs
}


def objective(x):
    """Return a loss, and where it was computed."""
    gpus = sparkopt.trial_info().gpus  # addresses; none where Spark assigns no GPUs
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")  # set to them, before the objective is loaded
    # With PyTorch: device = "cuda" if gpus else "cpu". The first GPU that it sees is the trial's own.
    return {"status": "ok", "loss": (x - 1) ** 2, "gpus": list(gpus), "seen": seen if gpus else ""}


def main(master=None):
    """Search, and say which GPUs the trials had."""
    if master is not None:
        builder = SparkSession.builder.master(master)
        for name, value in GPUS.items():
            builder = builder.config(name, value)
        builder.getOrCreate()
    trials = SparkTrials(parallelism=2, tracking=False)
    fmin(
        objective,
        hp.uniform("x", -5, 5),
        algo=tpe.suggest,
        max_evals=8,
        trials=trials,
        show_progressbar=False,
    )
    for gpus in sorted({tuple(result["gpus"]) for result in trials.results}):
        print(f"trials saw the GPUs {', '.join(gpus)}" if gpus else "trials had no GPU")
    assert all(result["seen"] == ",".join(result["gpus"]) for result in trials.results)


if __name__ == "__main__":
    main(*sys.argv[1:])
