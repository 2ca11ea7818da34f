"""A search on Spark Connect: the session is a client of a server, and nothing else changes.

    python examples/spark_connect.py [ADDRESS]

ADDRESS is that of a server, such as sc://host:15002. Without one, PySpark 4.0 and newer start a server for
the script. `pip install 'sparkopt[connect]'` adds what Spark Connect needs.
"""

import sys

from hyperopt import hp, tpe
from pyspark.sql import SparkSession

from sparkopt import SparkTrials, fmin


def main(address="local[2]"):
    """Search on a session of Spark Connect."""
    session = SparkSession.builder.remote(address).getOrCreate()
    print(f"Spark {session.version}, a session of {type(session).__module__.split('.')[2]}")
    trials = SparkTrials(parallelism=2, tracking=False, spark_session=session)
    fmin(
        lambda x: (x - 1) ** 2,
        hp.uniform("x", -5, 5),
        algo=tpe.suggest,
        max_evals=20,
        trials=trials,
        show_progressbar=False,
    )
    print(f"{len(trials)} trials, best: {trials.best_params}")
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
