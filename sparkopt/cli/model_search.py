"""The demo: which kind of model, with which settings, tells benign from malignant breast tumours best?

One search over four kinds of scikit-learn classifiers, each with hyperparameters of its own, on the
breast-cancer data that scikit-learn ships (569 samples, 30 features), scored by 5-fold cross-validation.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from sparkopt.tracking.masking import mask

if TYPE_CHECKING:
    from sparkopt.hyperopt.spark_trials import SparkTrials
    from sparkopt.spark.session import Session

FOLDS: Final = 5

STORE: Final = "sqlite:///mlflow.db"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of ``sparkopt demo``.

    Attributes:
        trials: how many settings to try.
        parallelism: how many at once.
        master: the Spark master to run on.
        remote: the Spark Connect server to run on instead, or ``local[n]`` for one in this process.
        elastic: whether workers come and go with executors; None for what suits the cluster.
        seed: of the search; the same seed proposes the same first settings.
        timeout: seconds after which to stop; None for never.
        tracking: whether to log the search to MLflow.
    """

    trials: int = 60
    parallelism: int = 2
    master: str = "local[*]"
    remote: str | None = None
    elastic: bool | None = None
    seed: int = 0
    timeout: float | None = None
    tracking: bool = True


def space() -> Any:
    """The search space: a model, and the settings that this model has."""
    from hyperopt import hp
    from hyperopt.pyll import scope

    def whole(label: str, low: int, high: int, step: int = 1) -> Any:
        return scope.int(hp.quniform(label, low, high, step))

    return hp.choice(
        "model",
        [
            {
                "model": "support-vector machine",
                "C": hp.loguniform("svm_C", -4, 6),
                "gamma": hp.loguniform("svm_gamma", -9, 1),
                "kernel": hp.choice("svm_kernel", ["rbf", "sigmoid"]),
            },
            {
                "model": "random forest",
                "n_estimators": whole("forest_n_estimators", 10, 120, 10),
                "max_depth": whole("forest_max_depth", 2, 12),
                "max_features": hp.uniform("forest_max_features", 0.05, 1.0),
            },
            {
                "model": "gradient boosting",
                "n_estimators": whole("boosting_n_estimators", 10, 80, 10),
                "learning_rate": hp.loguniform("boosting_learning_rate", -4, 0),
                "max_depth": whole("boosting_max_depth", 1, 4),
            },
            {
                "model": "logistic regression",
                "C": hp.loguniform("logistic_C", -6, 6),
            },
        ],
    )


def objective(setting: dict[str, Any]) -> dict[str, Any]:
    """The cross-validated error of a setting. Runs on workers."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import cross_val_score

    data, target = load_breast_cancer(return_X_y=True)
    scores = cross_val_score(_classifier(setting), data, target, cv=FOLDS)
    return {"status": "ok", "loss": 1.0 - float(scores.mean()), "model": setting["model"]}


def _classifier(setting: dict[str, Any]) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    parameters = {name: value for name, value in setting.items() if name != "model"}
    match setting["model"]:
        case "support-vector machine":
            return make_pipeline(StandardScaler(), SVC(**parameters))
        case "random forest":
            return RandomForestClassifier(random_state=0, **parameters)
        case "gradient boosting":
            return GradientBoostingClassifier(random_state=0, **parameters)
        case _:
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, **parameters))


def run(options: Options, console: Console) -> None:
    """Search, and print what was found and where the time went.

    Raises:
        SparkoptError: if the search cannot be run.
    """
    import numpy as np
    from hyperopt import tpe

    from sparkopt import SparkTrials, fmin

    began = time.monotonic()
    session = _session(options)
    console.print(
        f"Spark {session.version} on {_place(options)} is up after {time.monotonic() - began:.1f} s."
    )
    try:
        if options.tracking:
            _choose_store()
        trials = SparkTrials(
            options.parallelism,
            timeout=options.timeout,
            spark_session=session,
            tracking=options.tracking,
            elastic=options.elastic,
        )
        fmin(
            objective,
            space(),
            algo=tpe.suggest,
            max_evals=options.trials,
            trials=trials,
            rstate=np.random.default_rng(options.seed),
        )
        _report(trials, console)
        if options.tracking:
            _say_where_it_is_logged(console)
    finally:
        session.stop()


def _choose_store() -> None:
    """Unless the user has chosen one: a database in the current directory."""
    if "MLFLOW_TRACKING_URI" not in os.environ:
        os.environ["MLFLOW_TRACKING_URI"] = STORE
        os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", "sparkopt demo")
        # MLflow logs each step of making a new database.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)


def _say_where_it_is_logged(console: Console) -> None:
    store = mask(os.environ["MLFLOW_TRACKING_URI"])
    if store == STORE:
        command = shutil.which("mlflow") or str(Path(sys.executable).with_name("mlflow"))
        console.print(
            f"Every trial is logged to {store}. To look at them: [bold]{command} ui --backend-store-uri"
            f' {store}[/bold], then http://127.0.0.1:5000 in a browser, experiment "sparkopt demo".'
        )
    else:
        console.print(f"Every trial is logged to {store}.")


def _place(options: Options) -> str:
    remote = options.remote or os.environ.get("SPARK_REMOTE")
    return options.master if remote is None else f"Spark Connect, {remote},"


def _session(options: Options) -> Session:
    from sparkopt.spark.session import get_session

    # "local[*]" is one slot on a machine with one core, and the demo is about workers, in the plural.
    cores = os.cpu_count() or 1
    master = (
        f"local[{options.parallelism}]" if options.master == "local[*]" and cores == 1 else options.master
    )
    return get_session(
        settings={"spark.master": master, "spark.ui.enabled": "false", "spark.log.level": "ERROR"},
        remote=options.remote,
    )


def _report(trials: SparkTrials, console: Console) -> None:
    best: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for document in trials.trials:
        name = document["result"]["model"]
        counts[name] = counts.get(name, 0) + 1
        if name not in best or document["result"]["loss"] < best[name]["result"]["loss"]:
            best[name] = document
    table = Table(title=f"best of each model, {FOLDS}-fold cross-validation")
    table.add_column("model")
    table.add_column("trials", justify="right")
    table.add_column("error", justify="right")
    table.add_column("accuracy", justify="right")
    table.add_column("setting")
    for name, document in sorted(best.items(), key=lambda item: item[1]["result"]["loss"]):
        loss = document["result"]["loss"]
        table.add_row(name, str(counts[name]), f"{loss:.4f}", f"{1 - loss:.2%}", _words(_setting(document)))
    console.print(table)
    setting = trials.best_params
    console.print(f"[bold]best setting[/bold]: {setting['model']} with {_words(setting)}")
    _report_timings(trials, console)


def _setting(document: dict[str, Any]) -> dict[str, Any]:
    """A trial's setting as values: what the objective was given."""
    from hyperopt import space_eval

    values = {label: drawn[0] for label, drawn in document["misc"]["vals"].items() if drawn}
    setting: dict[str, Any] = space_eval(space(), values)
    return setting


def _words(setting: dict[str, Any]) -> str:
    parts = (
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in setting.items()
        if name != "model"
    )
    return ", ".join(parts)


def _report_timings(trials: SparkTrials, console: Console) -> None:
    timings = trials.timings
    table = Table(title="where the time went")
    table.add_column("what")
    table.add_column("seconds", justify="right")
    table.add_column("")
    ended = trials.count_total_trials()
    table.add_row("search, in all", f"{timings.total:.2f}", f"{ended} trials, {timings.workers} workers")
    table.add_row("pool start", f"{timings.pool_start:.2f}", "until the first trial was sent to a worker")
    suggesting = f"{1000 * timings.suggesting / max(1, ended):.1f} ms a trial"
    table.add_row("suggesting", f"{timings.suggesting:.2f}", suggesting)
    busy = f"{timings.busy_share:.0%} of the workers' time after the pool's start"
    table.add_row("workers busy", f"{timings.busy:.2f}", busy)
    waiting = f"{timings.waiting_share:.0%}: between a trial and the suggestion of the next"
    table.add_row("workers waiting", f"{timings.waiting:.2f}", waiting)
    console.print(table)
