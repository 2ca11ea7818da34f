"""The search space: from a proposal's values to the objective's argument.

In hyperopt, each worker evaluates the space, for which it imports hyperopt. Here the driver does, and sends
the argument, so that workers need no hyperopt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hyperopt import base, pyll

from sparkopt.errors import NotPicklableError, RefusedError
from sparkopt.hyperopt.program import MISSING, Program
from sparkopt.hyperopt.ranges import Range
from sparkopt.wire import codec

_CONTAINERS = frozenset({"dict", "pos_args", "switch"})


def parameters_of(expression: pyll.Apply) -> list[tuple[pyll.Apply, str]]:
    """The hyperparameters of a space, each with its label."""
    return [
        (node, str(node.arg["label"].obj)) for node in pyll.dfs(expression) if node.name == "hyperopt_param"
    ]


def wants_ctrl(domain: base.Domain) -> bool:
    """Returns whether a domain's objective or its space asks for a Ctrl."""
    return bool(domain.pass_expr_memo_ctrl) or any(
        isinstance(node, pyll.Literal) and node.obj is base.Ctrl for node in pyll.dfs(domain.expr)
    )


class Space:
    """Space of a domain.

    Attributes:
        labels: the names of the hyperparameters.
        ranges: the values that each can have, by label.

    Args:
        domain: hyperopt's description of the space.
    """

    def __init__(self, domain: base.Domain) -> None:
        self._expression = domain.expr
        parameters = parameters_of(domain.expr)
        self.labels = [label for _, label in parameters]
        choices = {
            node.pos_args[0].arg["label"].obj
            for node in pyll.dfs(domain.expr)
            if node.name == "switch" and node.pos_args[0].name == "hyperopt_param"
        }
        self.ranges = {
            label: Range.of(label, node.arg["obj"], label in choices) for node, label in parameters
        }
        self._evaluate = Program(domain.expr, [node for node, _ in parameters])

    def argument(self, values: dict[str, list[Any]]) -> Any:
        """The objective's argument for a proposal.

        Args:
            values: for each label a list of one value, or of none if the label is not active; as in the
                ``vals`` of a trial's ``misc``.

        Raises:
            LookupError: if there is no value for a label that is active.
            Exception: whatever the space's own expressions raise.
        """
        return self._evaluate(
            *[found[0] if (found := values.get(label)) else MISSING for label in self.labels]
        )

    def argument_of(self, point: Mapping[str, Any]) -> Any:
        """The objective's argument for a point that a user or a client gave.

        Args:
            point: a value for each label that is active in it; for ``hp.choice`` the index of the option, as
                in what ``fmin`` returns.

        Raises:
            RefusedError: if it is not a point of the space. The message begins with a verb, as the caller
                puts the point's name before it.
        """
        return self._evaluated(point, self._evaluate)

    def checked(self, point: Mapping[str, Any]) -> dict[str, int | float]:
        """Checks a point that a user or a client gave, and returns its numbers for its active labels.

        Raises:
            RefusedError: if it is not a point of the space. The message begins with a verb, as the caller
                puts the point's name before it.
        """
        needed = self._evaluated(point, self._evaluate.needed)
        return {
            label: self.ranges[label].number(point[label])
            for place, label in enumerate(self.labels)
            if place in needed
        }

    def _evaluated(self, point: Mapping[str, Any], evaluate: Callable[..., Any]) -> Any:
        unknown = sorted(set(point) - set(self.ranges), key=str)
        if unknown:
            raise RefusedError(
                f"has {unknown}, which the space does not have: its labels are {sorted(self.labels)}"
            )
        numbers = {label: self.ranges[label].number(value) for label, value in point.items()}
        try:
            return evaluate(*[numbers.get(label, MISSING) for label in self.labels])
        except Exception as error:
            missing = sorted(set(self.labels) - set(point))
            raise RefusedError(
                f"is not a point of the space ({type(error).__name__}: {error})."
                + (f" It has no value for {missing}." if missing else "")
                + " For hp.choice the value is the index of the option."
            ) from error

    def check_picklable(self) -> None:
        """Refuse a space whose proposals may hold something that cannot be sent to a worker.

        Raises:
            NotPicklableError: naming the option and its label.
        """
        for where, value in _options(self._expression, "the space"):
            try:
                codec.dumps(value)
            except Exception as error:
                raise NotPicklableError(
                    f"the space cannot be sent to workers: {where} is {value!r}, which does not pickle"
                    f" ({type(error).__name__}: {error}). Let the space name the choice, and the objective"
                    " make the object."
                ) from error

    def sources(self) -> list[Any]:
        """Objects that a proposal's values are made of: literals, and functions."""
        nodes = pyll.dfs(self._expression)
        functions = (pyll.scope._impls.get(node.name) for node in nodes)
        return [node.obj for node in nodes if isinstance(node, pyll.Literal)] + [*functions]


def _options(node: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The literal values that a proposal can contain, each with its place in the space."""
    if isinstance(node, pyll.Literal):
        yield where, node.obj
    elif node.name == "switch":
        label = node.pos_args[0].arg["label"].obj if node.pos_args[0].name == "hyperopt_param" else "?"
        for index, option in enumerate(node.pos_args[1:]):
            yield from _options(option, f"option {index} of {label!r}")
    elif node.name in _CONTAINERS:
        for part in node.pos_args:
            yield from _options(part, where)
        for name, part in node.named_args:
            yield from _options(part, f"{name!r} of {where}")
