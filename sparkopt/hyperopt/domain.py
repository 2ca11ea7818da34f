"""Description of an objective and its space as hyperopt has it, made only of spaces that can be searched."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from hyperopt import base, pyll
from hyperopt.exceptions import DuplicateLabel

from sparkopt.errors import ArgumentValueError
from sparkopt.hyperopt.space import parameters_of
from sparkopt.wire.arguments import refuse_type, shown

_EXPECTED: Final = (
    "a hyperopt expression, or a dictionary or list of them, as in {'x': hp.uniform('x', 0, 1)}"
)


class _DuplicateLabelError(ArgumentValueError, DuplicateLabel):  # type: ignore[misc]
    """Two hyperparameters have one label."""


def domain_of(fn: Callable[..., Any], space: Any, pass_expr_memo_ctrl: bool | None = None) -> base.Domain:
    """Description of an objective and its space, as hyperopt has it.

    Raises:
        RefusedError: if the space is none, has nothing to choose, or has a distribution that cannot be drawn
            from.
    """
    check_space(space)
    try:
        domain = base.Domain(fn, space, pass_expr_memo_ctrl=pass_expr_memo_ctrl)
    except DuplicateLabel as error:
        raise _DuplicateLabelError(
            f"space has two hyperparameters with the label {str(error)!r}: give each expression a label of"
            " its own, or use the same object twice where both are to have one value"
        ) from None
    except Exception as error:
        raise _unreadable(error) from error
    for node in pyll.dfs(domain.expr):
        if node.name == "switch" and len(node.pos_args) == 1:
            raise ArgumentValueError(
                f"space has no options for {_label_of(node)!r}: hp.choice needs one at least"
            )
    for label, distribution in domain.params.items():
        if not isinstance(label, str):
            raise ArgumentValueError(f"space has a label that is not text: {shown(label)}")
        _check_distribution(label, distribution)
    return domain


def check_space(space: Any) -> None:
    """Refuse what has no hyperparameter.

    Raises:
        RefusedError: saying what a space is.
    """
    if space is None or isinstance(space, (str, bytes)):
        refuse_type("space", space, _EXPECTED)
    try:
        found = parameters_of(pyll.as_apply(space))
    except Exception as error:
        raise _unreadable(error) from error
    if not found:
        raise ArgumentValueError(
            "space has no hyperparameter, so that there is nothing to search for: it must be"
            f" {_EXPECTED}, got {shown(space)}"
        )


def _unreadable(error: Exception) -> ArgumentValueError:
    return ArgumentValueError(
        f"space cannot be read ({type(error).__name__}: {error}): it must be {_EXPECTED}"
    )


def _check_distribution(label: str, distribution: pyll.Apply) -> None:
    """Draw from a distribution once, unless its parameters depend on other hyperparameters."""
    if any(node.name == "hyperopt_param" for node in pyll.dfs(distribution)):
        return
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            drawn = pyll.stochastic.sample(distribution, np.random.default_rng(0), print_node_on_error=False)
        finite = bool(np.all(np.isfinite(drawn)))
    except Exception as error:
        raise ArgumentValueError(
            f"space has {label!r}, which cannot be drawn from ({type(error).__name__}: {error}):"
            f" {_call(distribution)}"
        ) from error
    if not finite:
        raise ArgumentValueError(f"space has {label!r}, which is drawn as {drawn}: {_call(distribution)}")


def _call(distribution: pyll.Apply) -> str:
    given = [shown(node.obj) for node in distribution.pos_args if isinstance(node, pyll.Literal)]
    given += [f"{name}={shown(node.obj)}" for name, node in distribution.named_args]
    return f"{distribution.name}({', '.join(given)})"


def _label_of(switch: pyll.Apply) -> str:
    chosen = switch.pos_args[0]
    return str(chosen.arg["label"].obj) if chosen.name == "hyperopt_param" else "?"
