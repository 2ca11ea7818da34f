"""The same search under hyperopt's trials and under ours, and what there is to compare afterwards.

    scenario ──▶ serial   hyperopt.fmin, hyperopt.Trials        the reference
             ├─▶ ours     sparkopt.fmin, sparkopt.SparkTrials
             └─▶ theirs   hyperopt.fmin, hyperopt.SparkTrials   over a second a trial: only where it matters

One worker, a queue of one and a given seed: what is proposed is the same in all three.
"""

from __future__ import annotations

import copy
import datetime
import inspect
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import hyperopt
import numpy as np
import pyspark.cloudpickle
from hyperopt import base, hp, rand
from hyperopt.exceptions import AllTrialsFailed

import sparkopt

SINCE_0_3 = not hyperopt.__version__.startswith("0.2.")

LATER_ATTRIBUTES = () if SINCE_0_3 else ("fmin_cancelled_reason", "user_specified_parallelism")
"""Attributes of 0.3's SparkTrials that 0.2.7's lack. Ours have them with either."""

LATER_PARAMETERS = [] if SINCE_0_3 else [("resource_profile", inspect.Parameter.POSITIONAL_OR_KEYWORD, None)]
"""Parameters of 0.3's SparkTrials after those of 0.2.7's: name, kind, default. Ours take them with either."""

_LEFT_BEHIND = () if SINCE_0_3 else ("FMinIter_Domain",)
"""Attachments that a search of 0.2.7's SparkTrials leaves: the domain, for workers that MongoTrials have.

One of 0.3's leaves none, and neither does a serial search nor one of ours with either.
"""

X = hp.uniform("x", -5, 5)
CASE = hp.uniformint("case", 0, 1000)


def ship_by_value(module):
    """Let workers have the objectives of a test module, which they cannot import."""
    for pickler in (cloudpickle, pyspark.cloudpickle):
        pickler.register_pickle_by_value(sys.modules[module])


ship_by_value(__name__)


@dataclass(frozen=True)
class Way:
    """One way to search.

    Attributes:
        name: of the way.
        fmin: whose.
        new_trials: makes empty trials.
        directory: for the scenario's files.
        lenient: the arguments with which a trial that raises does not end the search.
    """

    name: str
    fmin: Callable[..., Any]
    new_trials: Callable[..., base.Trials]
    directory: Path
    lenient: dict[str, Any] = field(default_factory=dict)


def ways(spark, directory):
    """All three, by name."""
    return {
        way.name: way
        for way in (
            Way("serial", _serial_fmin, hyperopt.Trials, directory, {"catch_eval_exceptions": True}),
            Way("ours", sparkopt.fmin, _maker(sparkopt.SparkTrials, spark), directory),
            Way("theirs", _their_fmin, _maker(hyperopt.SparkTrials, spark), directory),
        )
    }


def _maker(kind, spark):
    def new(parallelism=1, **arguments):
        return kind(parallelism, spark_session=spark, **arguments)

    return new


def _serial_fmin(*positional, **arguments):
    with warnings.catch_warnings():
        # hyperopt leaves the closing of the trials_save_file to the garbage collector.
        warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
        return hyperopt.fmin(*positional, **arguments)


def _their_fmin(*positional, **arguments):
    with warnings.catch_warnings():
        # Their dispatcher's thread uses an interface of pyspark that has changed; an error would end it.
        warnings.filterwarnings("ignore", "Spark session is not provided", UserWarning)
        # 0.2.7 starts that thread by a method that Python has deprecated since.
        warnings.filterwarnings("ignore", r"setDaemon\(\) is deprecated", DeprecationWarning)
        try:
            return hyperopt.fmin(*positional, **arguments)
        finally:
            for name in _LEFT_BEHIND:
                arguments["trials"].attachments.pop(name, None)


@dataclass(frozen=True)
class Scenario:
    """A search, and what serial hyperopt makes of it: so that it is the search that was meant.

    Attributes:
        run: searches, and returns all there is to compare.
        trials: how many documents there are in the end, those of trials that failed included.
        raises: the type of what ``fmin`` raises; None for nothing.
    """

    run: Callable[[Way], dict[str, Any]]
    trials: int
    raises: type[Exception] | None


class Scenarios(dict[str, Scenario]):
    """Scenarios by name."""

    def add(self, trials, raises=None):
        """Decorate a function that is one."""

        def register(run):
            self[run.__name__] = Scenario(run, trials, raises)
            return run

        return register


def differences(scenario, reference, way):
    """Where a scenario comes out otherwise than in the reference: what there is, and what there should be."""
    expected = scenario.run(reference)
    raised = expected["raised"][0] if expected["raised"] else None
    assert (len(expected["documents"]), raised) == (scenario.trials, scenario.raises), "another search"
    wanted, found = plain(expected), plain(scenario.run(way))
    return {
        path: (found.get(path), wanted.get(path))
        for path in {**wanted, **found}
        if found.get(path) != wanted.get(path)
    }


def search(way, fn, space=X, algo=rand.suggest, max_evals=3, *, trials=None, rstate=None, **arguments):
    """What there is to compare after a search."""
    trials = way.new_trials() if trials is None else trials
    rstate = np.random.default_rng(4) if rstate is None else rstate
    arguments = {"verbose": False, **arguments}
    returned, raised = None, None
    try:
        returned = way.fmin(
            fn, space, algo=algo, max_evals=max_evals, trials=trials, rstate=rstate, **arguments
        )
    except Exception as error:
        raised = _told(error)
    return {
        "returned": returned,
        "raised": raised,
        "next seed": int(rstate.integers(2**31 - 1)),
        **surface(trials),
    }


def square(x):
    return (x - 1) ** 2


def shown(point):
    """A loss that differs when anything in the point does, and the point."""
    return {"status": "ok", "loss": float(sum(map(ord, repr(point)))), "point": point}


READINGS = {
    "documents": lambda trials: trials._dynamic_trials,
    "trials": lambda trials: trials.trials,
    "listed": list,
    "length": len,
    "tids": lambda trials: trials.tids,
    "specs": lambda trials: trials.specs,
    "results": lambda trials: trials.results,
    "miscs": lambda trials: trials.miscs,
    "idxs": lambda trials: trials.idxs,
    "vals": lambda trials: trials.vals,
    "idxs_vals": lambda trials: trials.idxs_vals,
    "losses": lambda trials: trials.losses(),
    "statuses": lambda trials: trials.statuses(),
    "losses by a domain": lambda trials: trials.losses(base.Domain(float, X)),
    "statuses by a domain": lambda trials: trials.statuses(base.Domain(float, X)),
    "best_trial": lambda trials: trials.best_trial,
    "argmin": lambda trials: trials.argmin,
    "average_best_error": lambda trials: trials.average_best_error(),
    "average_best_error by a domain": lambda trials: trials.average_best_error(base.Domain(float, X)),
    "synced": lambda trials: [trials.count_by_state_synced(state) for state in base.JOB_STATES],
    "unsynced": lambda trials: [trials.count_by_state_unsynced(state) for state in base.JOB_STATES],
    "all synced": lambda trials: trials.count_by_state_synced(base.JOB_STATES),
    "all unsynced": lambda trials: trials.count_by_state_unsynced(base.JOB_STATES),
    "attachments": lambda trials: trials.attachments,
}


def surface(trials):
    """All that can be read off trials now."""
    return copy.deepcopy({name: attempt(reading, trials) for name, reading in READINGS.items()})


def attempt(function, *arguments):
    """What a call returns, or the type and the text of what it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return _told(error)


def _told(error):
    """The type and the text of an error; of hyperopt's that has no text the type alone, as ours has one."""
    kind = type(error)
    return (AllTrialsFailed, "") if issubclass(kind, AllTrialsFailed) else (kind, str(error))


def plain(value, path=""):
    """What a value holds, by where: with types; of times and of errors' texts only that they are there."""
    if isinstance(value, dict):
        parts = [(f"{path}[{key!r}]", _error_type(key, item)) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    elif isinstance(value, datetime.datetime):
        return {path: type(value)}
    elif isinstance(value, np.ndarray):
        return {path: (type(value), str(value.dtype), value.tolist())}
    else:
        return {path: (type(value), repr(value))}
    found = {path: (type(value), len(value))}
    for where, part in parts:
        found.update(plain(part, where))
    return found


def _error_type(key, value):
    if key == "error" and isinstance(value, tuple) and len(value) == 2:
        return ("of the type", value[0])
    return value


def numbered(new_ids, domain, trials, seed):
    """An algorithm that proposes each trial's own number for the label ``case``."""
    documents = rand.suggest(new_ids, domain, trials, seed)
    for document in documents:
        document["misc"]["vals"]["case"] = [document["tid"]]
    return documents


class Recorder:
    """A progress bar that keeps what it is told, in ``events``."""

    def __init__(self):
        self.events = []

    @contextmanager
    def __call__(self, initial, total):
        self.events.append(("opened", initial, total))
        yield _Bar(self.events)
        self.events.append(("closed",))

    def only(self, kind):
        """The events of one kind."""
        return [event for event in self.events if event[0] == kind]


class _Bar:
    def __init__(self, events):
        self._events = events

    def update(self, n):
        self._events.append(("updated", n))

    @property
    def postfix(self):
        return None

    @postfix.setter
    def postfix(self, text):
        self._events.append(("postfix", text))
