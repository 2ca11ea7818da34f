"""Results of hyperopt's objectives, as far as workers have to understand them. Imports no hyperopt.

A number is the loss. A dictionary has a status, and a loss if that is ``ok``. hyperopt itself has the last
word on what a result is, on the driver.
"""

from __future__ import annotations

from typing import Any, Final

from sparkopt.worker.shipped import Convention, nothing_returned, number_of

__wraps_objectives__ = True

_NO_STATUS: Final = "the objective returned a dictionary without a status"


def loss_of(result: Any) -> float | None:
    """Returns the loss of a number, or of a dictionary whose status is ``ok``; None if there is none."""
    if isinstance(result, dict):
        result = result.get("loss") if result.get("status") == "ok" else None
    return number_of(result)


def fault_of(result: Any) -> str:
    """Says why a result is unusable, or that its status is not ``ok``; empty if it can be used."""
    if not isinstance(result, dict) or result.get("status") == "ok":
        return nothing_returned(result)
    status = result.get("status")
    return f"the objective returned the status {status[:100]!r}" if type(status) is str else _NO_STATUS


CONVENTION: Final = Convention(
    loss_of,
    fault_of,
    "a number, or a dictionary such as {'status': 'ok', 'loss': 0.5}, of values that can",
    "use hyperopt.fmin(..., trials=hyperopt.Trials()) for it",
)
"""Convention of objectives for ``fmin``, and for evaluations over a space of hyperopt's."""
