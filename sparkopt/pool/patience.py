"""Limits of a pool's patience, from the arguments that users give for them."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from sparkopt.core.records import Policy
from sparkopt.errors import RefusedError
from sparkopt.wire.arguments import SECONDS, check_number, check_seconds, refuse_value

_HEARTBEAT: Final = "a positive number of seconds"
_GRACE: Final = "None or a finite number of seconds"


def check_start_timeout(seconds: object) -> float | None:
    """Checks the number of seconds that the start of workers may make no progress; None for the policy's.

    Raises:
        ArgumentTypeError: if it is neither None nor a number.
        ArgumentValueError: if it is not positive, or infinite.
    """
    if seconds is None:
        return None
    given = check_seconds("start_timeout", seconds)
    if not math.isfinite(given):
        refuse_value("start_timeout", seconds, SECONDS)
    return given


def patience(policy: Policy, heartbeat: float, grace: float | None, start_timeout: float | None) -> Policy:
    """The policy, with the limits that were given beside it.

    Args:
        policy: has the limits that hold where none is given.
        heartbeat: seconds between a worker's signs of life.
        grace: seconds that a worker may be out of reach; None for the policy's.
        start_timeout: seconds that the start of workers may stand still; None for the policy's.

    Raises:
        RefusedError: naming the argument that makes no sense.
    """
    heartbeat = check_seconds("heartbeat", heartbeat, _HEARTBEAT)
    if not math.isfinite(heartbeat):
        refuse_value("heartbeat", heartbeat, _HEARTBEAT)
    if grace is None:
        grace, silence = policy.grace, max(policy.silence, 3 * heartbeat)
    else:
        grace = check_number("grace", grace, _GRACE)
        if not math.isfinite(grace):
            refuse_value("grace", grace, _GRACE)
        silence = max(grace / 3, 3 * heartbeat)
    if not grace >= 3 * heartbeat:
        raise RefusedError(
            f"grace must be at least three heartbeats of {heartbeat:g} s, got {grace:g} s: otherwise workers"
            " that are merely slow would be lost"
        )
    start = check_start_timeout(start_timeout)
    start = policy.start if start is None else start
    return dataclasses.replace(policy, grace=grace, silence=silence, start=start)
