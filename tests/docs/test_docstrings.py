"""Examples in the docstrings of public names: each that has something to show has one, and they run."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from hyperopt import hp, tpe

import sparkopt
import sparkopt.client
import sparkopt.hyperopt
import sparkopt.optuna
import sparkopt.plots
from sparkopt import Control, ControlClient, SparkTrials, Tracking, WorkerPool, fmin
from sparkopt.core.pruning.pruner import Pruner
from sparkopt.study.listener import Listener
from sparkopt.study.proposer import Proposer

IN_AN_OBJECTIVE = (
    *(sparkopt.report, sparkopt.should_prune, sparkopt.TrialPruned, sparkopt.trial_info),
    *(sparkopt.save_checkpoint, sparkopt.load_checkpoint),
)
SETTINGS = (
    *(sparkopt.MedianStopping, sparkopt.PercentileStopping, sparkopt.ThresholdStopping, sparkopt.ASHA),
    *(sparkopt.Hyperband, Tracking, Control, Pruner, Listener),
)
RESULTS = (
    *(SparkTrials.best_trial, SparkTrials.best_params, SparkTrials.to_pandas, SparkTrials.to_optuna),
    *(sparkopt.read_journal, sparkopt.journal_to_optuna),
    *(getattr(sparkopt.plots, name) for name in sparkopt.plots.__all__),
)
SEARCHES = (
    *(fmin, SparkTrials, WorkerPool, WorkerPool.open_evaluation, sparkopt.parallel_tpe),
    *(sparkopt.hyperopt.from_optuna, sparkopt.optuna.optimize, Proposer),
)
CALLS = (
    *(ControlClient, ControlClient.status, ControlClient.space, ControlClient.workers, ControlClient.trials),
    *(ControlClient.watch, ControlClient.story, ControlClient.pause, ControlClient.set_parallelism),
    *(ControlClient.cancel_trial, ControlClient.evaluate, sparkopt.client.EvaluationStream),
    *(ControlClient.drain_worker, ControlClient.stop),
)
"""Those that change something for others come last."""

PLAIN = {sparkopt.TrialInfo}
"""Records that somebody else makes."""

PARSER = doctest.DocTestParser()
BAR = re.compile(r"\r.*\n")


class WithoutBar(doctest.OutputChecker):
    """Leaves a search's progress bar out."""

    def check_output(self, want, got, optionflags):
        return super().check_output(want, BAR.sub("", got), optionflags)


def run_example(documented, names):
    """Run the example of a docstring with these names; it has to print what it says."""
    name = getattr(documented, "__qualname__", "") or documented.fget.__qualname__
    example = PARSER.get_doctest(inspect.getdoc(documented), {**names}, name, None, None)
    assert example.examples, f"{name} has no example"
    said = []
    doctest.DocTestRunner(WithoutBar(), verbose=False).run(example, out=said.append)
    assert said == [], "".join(said)


def objective(x):
    sparkopt.report((x - 1) ** 2)
    return (x - 1) ** 2


SPACE = hp.uniform("x", -5, 5)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """Names that examples use, in a directory of their own."""
    monkeypatch.chdir(tmp_path)
    return {
        **{name: getattr(sparkopt, name) for name in sparkopt.__all__ if name not in ("optuna", "plots")},
        "sparkopt": sparkopt,
        "from_optuna": sparkopt.hyperopt.from_optuna,
        "hp": hp,
        "tpe": tpe,
        "objective": lambda x: (x - 1) ** 2,
        "space": SPACE,
        "train_one_epoch": lambda x: x,
        "Path": Path,
    }


@pytest.mark.parametrize("documented", IN_AN_OBJECTIVE, ids=lambda each: each.__name__)
def test_in_an_objective(documented, names):
    run_example(documented, names)


@pytest.mark.filterwarnings("ignore::sparkopt.errors.SparkoptWarning")
@pytest.mark.parametrize("documented", SETTINGS, ids=lambda each: each.__name__)
def test_settings(documented, names, spark):
    run_example(documented, names)


@pytest.mark.slow
def test_results_and_calls_of_a_client(names, spark):
    with WorkerPool(2, spark_session=spark, control=Control(token_file="sparkopt.token")) as pool:
        trials = SparkTrials(pool=pool, journal="search.journal", tracking=False)
        fmin(objective, SPACE, tpe.suggest, max_evals=30, trials=trials, show_progressbar=False)
        for documented in RESULTS:
            run_example(documented, {**names, "trials": trials})
        with (
            pool.open_evaluation(lambda point: (point["x"] - 1) ** 2),
            ControlClient(pool.control_address, token=pool.control_token) as client,
        ):
            assert len([*client.evaluate([{"x": 2}, {"x": 3}])]) == 2
            for documented in CALLS:
                run_example(documented, {**names, "client": client, "address": pool.control_address})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sparkopt.errors.SparkoptWarning")
@pytest.mark.parametrize("documented", SEARCHES, ids=lambda each: each.__qualname__)
def test_searches(documented, names, spark):
    run_example(documented, names)


def test_every_public_name_has_an_example_that_runs():
    modules = (sparkopt, sparkopt.hyperopt, sparkopt.optuna, sparkopt.plots)
    public = {getattr(module, name) for module in modules for name in module.__all__}
    public = {each for each in public if callable(each)} - PLAIN
    assert public - {*IN_AN_OBJECTIVE, *SETTINGS, *RESULTS, *SEARCHES, *CALLS} == set()


def test_an_example_that_prints_something_else_is_seen():
    wrong = SimpleNamespace(__qualname__="wrong")
    wrong.__doc__ = ">>> 1 + 1\n3\n"
    with pytest.raises(AssertionError, match=r"Expected:\s+3\s+Got:\s+2"):
        run_example(wrong, {})
    wrong.__doc__ = "Nothing to run."
    with pytest.raises(AssertionError, match="wrong has no example"):
        run_example(wrong, {})
