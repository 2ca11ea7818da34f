"""Searches described without hyperopt's words: the dimensions of a space, and trials with evaluated values.

    space ──▶ DescribedSpace: label ──▶ Dimension        document ──▶ TrialDescription

Descriptions are plain data. So they pickle along with trials, and go into journals, where a space need not.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from hyperopt import base, pyll

from sparkopt.hyperopt.documents import Document, DrawnValues, is_lost, is_pruned, status_of
from sparkopt.hyperopt.ranges import Range, is_number, numbers_of
from sparkopt.hyperopt.readable import ReadableSpace
from sparkopt.hyperopt.space import parameters_of
from sparkopt.study.trial_description import (
    DescribedState,
    Dimension,
    TrialDescription,
    plain_value,
)

_SIGMAS: Final = 4.0
"""How far from its mean the dimension of a normal distribution reaches, in standard deviations."""

_PLAIN: Final = (type(None), bool, int, float, str)

_STATES: Final[dict[int, DescribedState]] = {
    base.JOB_STATE_NEW: "pending",
    base.JOB_STATE_RUNNING: "running",
    base.JOB_STATE_CANCEL: "cancelled",
    base.JOB_STATE_ERROR: "failed",
}


@dataclass(frozen=True, slots=True)
class TrialRun:
    """A trial's last attempt, which hyperopt's documents do not have.

    Attributes:
        attempt: its number.
        worker: which ran it; empty if none did.
        host: of that worker.
        started: when it was sent to the worker, in seconds since the epoch; None if it was not.
        settled: when the trial got its final state, in seconds since the epoch; None if that is not known.
        seconds: in the objective.
    """

    attempt: int
    worker: str
    host: str
    started: float | None
    settled: float | None
    seconds: float


class DescribedSpace:
    """A space as plain data.

    Attributes:
        dimensions: by label. The options of a choice are its constants; what is not a plain constant, or is
            the same as another to Python, is there in words.

    Args:
        dimensions: of the space.
    """

    def __init__(self, dimensions: Sequence[Dimension] = ()) -> None:
        self.dimensions = {dimension.label: dimension for dimension in dimensions}

    @classmethod
    def of(cls, space: Any) -> DescribedSpace:
        """Describe a space.

        Args:
            space: any hyperopt expression.
        """
        expression = pyll.as_apply(space)
        options = _options(expression)
        whole = set(_made_whole(expression))
        found = []
        for node, label in parameters_of(expression):
            if label in options:
                found.append(Dimension(label, "choice", options=options[label]))
            else:
                found.append(_dimension(label, node.arg["obj"], label in whole))
        return cls(found)

    def params(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return evaluated values: of a choice the option, of what the space makes whole an int.

        Args:
            drawn: numbers by the labels that are active, as in hyperopt's documents.
        """
        return {label: self._evaluated(label, plain_value(value)) for label, value in drawn.items()}

    def _evaluated(self, label: str, value: Any) -> Any:
        dimension = self.dimensions.get(label)
        if dimension is None or not is_number(value):
            return value
        if dimension.kind == "choice":
            is_index = value == int(value) and 0 <= value < len(dimension.options)
            return dimension.options[int(value)] if is_index else value
        return int(value) if dimension.kind == "int" and value == int(value) else value


def description_of(
    document: Document, space: DescribedSpace, run: TrialRun | None = None
) -> TrialDescription:
    """Describe a trial.

    Args:
        document: hyperopt's.
        space: of the search; an empty one leaves values as they were drawn.
        run: of its last attempt, if that is known.
    """
    result, misc = document["result"], document["misc"]
    state = _state(document)
    loss = result.get("loss")
    has_loss = state in ("ok", "pruned") and isinstance(loss, (int, float, np.number))
    error = misc.get("error")
    described = TrialDescription(
        tid=int(document["tid"]),
        state=state,
        params=space.params(DrawnValues(misc["vals"])),
        values=(float(loss),) if has_loss else None,
        reports=_reports(result.get("intermediate")),
        started=_seconds(document.get("book_time")),
        settled=None if state in ("pending", "running") else _seconds(document.get("refresh_time")),
        error=str(error[1]) if error else _fault(result, state),
    )
    if run is None:
        return described
    return dataclasses.replace(
        described,
        started=described.started if run.started is None else run.started,
        settled=described.settled if run.settled is None else run.settled,
        seconds=run.seconds,
        attempt=run.attempt,
        worker=run.worker,
        host=run.host,
    )


def _state(document: Document) -> DescribedState:
    if is_lost(document):
        return "lost"
    if document["state"] != base.JOB_STATE_DONE:
        return _STATES.get(document["state"], "failed")
    if is_pruned(document):
        return "pruned"
    return "ok" if status_of(document) == "success" else "failed"


def _fault(result: Mapping[str, Any], state: DescribedState) -> str:
    return f"status {result.get('status')!r}" if state == "failed" else ""


def _reports(found: Any) -> dict[int, float]:
    """Intermediate values by step; none if the objective has something else of that name in its result."""
    if not isinstance(found, Mapping):
        return {}
    return {
        int(step): float(value)
        for step, value in found.items()
        if isinstance(step, int) and isinstance(value, (int, float))
    }


def _seconds(time: Any) -> float | None:
    """A time of hyperopt's, which is in UTC without a time zone, in seconds since the epoch."""
    if not isinstance(time, datetime.datetime):
        return None
    return time.replace(tzinfo=time.tzinfo or datetime.timezone.utc).timestamp()


def _options(expression: pyll.Apply) -> dict[str, tuple[Any, ...]]:
    """The options of each choice: None, bools, numbers and texts that differ from each other."""
    words = ReadableSpace(expression).options
    found = {}
    for node in pyll.dfs(expression):
        if node.name != "switch" or node.pos_args[0].name != "hyperopt_param":
            continue
        label = str(node.pos_args[0].arg["label"].obj)
        texts = words[label]
        constants = [_constant(*pair) for pair in zip(node.pos_args[1:], texts, strict=True)]
        found[label] = tuple(constants if len(set(constants)) == len(constants) else _numbered(texts))
    return found


def _constant(option: Any, text: str) -> Any:
    is_plain = isinstance(option, pyll.Literal) and type(option.obj) in _PLAIN
    return option.obj if is_plain else text


def _numbered(texts: Sequence[str]) -> list[str]:
    """The texts, with their places where two are the same."""
    return [text if texts.count(text) == 1 else f"{text} [{place}]" for place, text in enumerate(texts)]


def _made_whole(expression: pyll.Apply) -> Iterator[str]:
    """The labels of hyperparameters that the space turns into ints, as ``hp.uniformint`` does."""
    for node in pyll.dfs(expression):
        if node.name == "int":
            inner = node.pos_args[0]
            if inner.name == "float":
                inner = inner.pos_args[0]
            if inner.name == "hyperopt_param":
                yield str(inner.arg["label"].obj)


def _dimension(label: str, node: pyll.Apply, made_whole: bool) -> Dimension:
    """The dimension of a distribution. Bounds that the space calculates are not known."""
    bounds = Range.of(label, node, is_choice=False)
    low, high, step = bounds.low, bounds.high, bounds.step
    if bounds.whole:
        return Dimension(label, "int", low, high - 1, 1)
    if node.name.endswith("normal"):
        given = numbers_of(node)
        if "mu" in given and "sigma" in given:
            reach = _SIGMAS * given["sigma"]
            scale: Callable[[float], float] = math.exp if bounds.logarithmic else float
            low, high = scale(given["mu"] - reach), scale(given["mu"] + reach)
    if step is not None and not math.isinf(high) and not math.isinf(low):
        low, high = round(low / step) * step, round(high / step) * step
        if bounds.logarithmic:
            low = max(low, 0.0)
    is_whole = made_whole and step is not None and float(step).is_integer()
    return Dimension(
        label,
        "int" if is_whole else "float",
        low,
        high,
        step,
        logarithmic=bounds.logarithmic and low > 0,
    )
