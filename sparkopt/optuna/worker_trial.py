"""Trial that an objective gets on a worker: asks Optuna's own trial, which is on the driver.

    objective ──▶ WorkerTrial.suggest_float ──▶ request ──▶ driver: optuna.Trial.suggest_float
                         └──◀── value, or what Optuna has raised ──◀──┘

So each check, error and pruner's verdict is Optuna's own. A suggestion is asked for once; the same call with
the same arguments again has the same value without asking. Names that only the driver has are refused.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import BaseTrial

from sparkopt.errors import TrialPruned
from sparkopt.optuna.returned_values import as_floats
from sparkopt.wire import codec
from sparkopt.worker.intermediate_values import report_quietly, should_prune
from sparkopt.worker.reports import Reporter, ReportingObjective

__wraps_objectives__ = True


@dataclass(frozen=True)
class RemoteObjective(ReportingObjective):
    """An objective of an Optuna study, as workers run it.

    Attributes:
        fn: the user's objective, a function of the trial.
        study_name: of the study.
        directions: for each of its objectives the name of its direction.
    """

    fn: Callable[[BaseTrial], Any]
    study_name: str
    directions: tuple[str, ...]

    def run(self, argument: int, reporter: Reporter) -> Any:
        """Evaluate the trial of a number."""
        try:
            return as_floats(self.fn(WorkerTrial(argument, self, _Line(reporter))))
        except optuna.TrialPruned as error:
            raise TrialPruned(str(error)) from error


class _Line:
    """Way of one trial to Optuna's trial on the driver.

    Args:
        reporter: the trial's.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def call(self, method: str, *arguments: Any) -> Any:
        """Have something called on the driver, and return what it returns or raise what it raises."""
        return self.send(method, codec.dumps(arguments))

    def send(self, method: str, body: bytes) -> Any:
        """Have something called on the driver with pickled arguments."""
        answer = self._reporter.ask(f"trial.{method}", body)
        if isinstance(answer, Path):
            path, answer = answer, answer.read_bytes()
            path.unlink()
        has_returned, value = codec.loads(answer)
        if has_returned:
            return value
        raise value


class WorkerStudy:
    """Study of a trial, as an objective may read it on a worker.

    Attributes:
        study_name: its name.
        directions: of its objectives.

    Args:
        objective: knows both.
        line: to the driver.
    """

    def __init__(self, objective: RemoteObjective, line: _Line) -> None:
        self.study_name = objective.study_name
        self.directions = [StudyDirection[name] for name in objective.directions]
        self._line = line

    @property
    def direction(self) -> StudyDirection:
        """Direction of a study with one objective.

        Raises:
            RuntimeError: if it has several.
        """
        if len(self.directions) != 1:
            raise RuntimeError(
                "this study has several objectives, so that it has no single direction: use `directions`"
            )
        return self.directions[0]

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The study's user attributes, as they are now."""
        attributes: dict[str, Any] = self._line.call("study_user_attrs")
        return attributes

    def stop(self) -> None:
        """Have the study start no more trials, as :meth:`optuna.study.Study.stop` does."""
        self._line.call("stop")

    def __getattr__(self, name: str) -> NoReturn:
        _refuse("study", name, "study_name, direction, directions, user_attrs and stop()")


class WorkerTrial(BaseTrial):
    """A trial of an Optuna study, on a worker.

    Attributes:
        study: the part of the study that there is on a worker.

    Args:
        number: of the trial.
        objective: knows the study.
        line: to the driver.
    """

    def __init__(self, number: int, objective: RemoteObjective, line: _Line) -> None:
        self.study = WorkerStudy(objective, line)
        self._number = number
        self._line = line
        self._suggested: dict[str, tuple[str, bytes, Any]] = {}

    @property
    def number(self) -> int:
        """Number of the trial within its study."""
        return self._number

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """See :meth:`optuna.trial.Trial.suggest_float`."""
        value: float = self._suggest("suggest_float", name, low, high, step, log)
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """See :meth:`optuna.trial.Trial.suggest_int`."""
        value: int = self._suggest("suggest_int", name, low, high, step, log)
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """See :meth:`optuna.trial.Trial.suggest_categorical`. Returns the object in ``choices`` itself."""
        options = tuple(choices)
        index, other = self._suggest("suggest_categorical", name, codec.dumps(options))
        return other if index is None else options[index]

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """See :meth:`optuna.trial.Trial.suggest_uniform`, which Optuna has deprecated."""
        value: float = self._suggest("suggest_uniform", name, low, high)
        return value

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """See :meth:`optuna.trial.Trial.suggest_loguniform`, which Optuna has deprecated."""
        value: float = self._suggest("suggest_loguniform", name, low, high)
        return value

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """See :meth:`optuna.trial.Trial.suggest_discrete_uniform`, which Optuna has deprecated."""
        value: float = self._suggest("suggest_discrete_uniform", name, low, high, q)
        return value

    def report(self, value: float, step: int) -> None:
        """See :meth:`optuna.trial.Trial.report`."""
        with suppress(TypeError, ValueError):
            value = float(value)
        self._line.call("report", value, step)
        # What shows and records intermediate values of other searches has these as well.
        with suppress(TypeError, ValueError):
            report_quietly(value, step)

    def should_prune(self) -> bool:
        """See :meth:`optuna.trial.Trial.should_prune`. True as well once a client wants the trial pruned."""
        verdict: bool = self._line.call("should_prune")
        return verdict or should_prune()

    def set_user_attr(self, key: str, value: Any) -> None:
        """See :meth:`optuna.trial.Trial.set_user_attr`."""
        self._line.call("set_user_attr", key, value)

    def set_system_attr(self, key: str, value: Any) -> None:
        """See :meth:`optuna.trial.Trial.set_system_attr`, which Optuna has deprecated."""
        self._line.call("set_system_attr", key, value)

    def set_constraint(self, key: str, value: float) -> None:
        """See :meth:`optuna.trial.Trial.set_constraint`, which Optuna has from 5.0 on."""
        self._line.call("set_constraint", key, value)

    @property
    def params(self) -> dict[str, Any]:
        """Parameters that have been suggested, by name; with those of an earlier attempt."""
        params: dict[str, Any] = self._line.call("params")
        return params

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Their distributions."""
        distributions: dict[str, BaseDistribution] = self._line.call("distributions")
        return distributions

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The trial's user attributes."""
        attributes: dict[str, Any] = self._line.call("user_attrs")
        return attributes

    @property
    def system_attrs(self) -> dict[str, Any]:
        """The trial's system attributes, which Optuna has deprecated."""
        attributes: dict[str, Any] = self._line.call("system_attrs")
        return attributes

    @property
    def constraints(self) -> dict[str, float]:
        """Constraints that the trial has set; Optuna has them from 5.0 on."""
        constraints: dict[str, float] = self._line.call("constraints")
        return constraints

    @property
    def datetime_start(self) -> datetime.datetime | None:
        """Time at which Optuna has started the trial."""
        started: datetime.datetime | None = self._line.call("datetime_start")
        return started

    def _suggest(self, method: str, name: str, *arguments: Any) -> Any:
        body = codec.dumps((name, *arguments))
        known = self._suggested.get(name) if type(name) is str else None
        if known is not None and known[:2] == (method, body):
            return known[2]
        value = self._line.send(method, body)
        if known is None:
            self._suggested[name] = method, body, value
        return value

    def __getattr__(self, name: str) -> NoReturn:
        _refuse("trial", name, "what optuna.trial.BaseTrial has")


def _refuse(what: str, name: str, offered: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(
        f"{name!r} of the {what} cannot be used on a worker, which has neither Optuna's storage nor its"
        f" sampler: a {what} there has {offered}. If a library asks for it, as Lightning's callback does"
        " under DDP, use the library without that, or run the study with Optuna alone"
    )
