"""Nobody gets anywhere without the right token, and nobody is kept out by those who try."""

from __future__ import annotations

import grpc
import pytest

from sparkopt.core import events
from sparkopt.wire import limits
from tests.control.hostile import (
    EVALUATE,
    FETCH,
    NOTHING,
    PAUSE,
    PUSH,
    WATCH,
    WORK,
    error_of,
    refusal,
    was_let_in,
)

CALLS = {
    "worker": [WORK, FETCH, PUSH],
    "control": [PAUSE, WATCH, EVALUATE],
    "unknown": ["/sparkopt.v1.ControlService/None", "/sparkopt.v1.WorkerService/None", "/none.None/None"],
}
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
READ_ONLY_CALLS = [
    "/sparkopt.v1.ControlService/GetStatus",
    "/sparkopt.v1.ControlService/ListTrials",
    "/sparkopt.v1.ControlService/ListWorkers",
    "/sparkopt.v1.ControlService/GetStory",
    "/sparkopt.v1.ControlService/GetSpace",
    WATCH,
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]
CONTROLLING_CALLS = [
    *(PAUSE, EVALUATE, "/none.None/None"),
    *(
        f"/sparkopt.v1.ControlService/{name}"
        for name in ("Resume", "SetParallelism", "CancelTrial", "StopStudy", "DrainWorker", "SubmitTrials")
    ),
]


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
def test_calls_without_the_token_are_refused_unread(attacked, calls):
    unreadable = b"\xff"
    for call in calls:
        right = attacked.server.token if "Control" in call else attacked.workers.token
        assert refusal(attacked.call(call, unreadable)) == (UNAUTHENTICATED, "NO_TOKEN")
        for token in ("", "wrong", right[:-1], right + "x", "x" * 4000):
            assert refusal(attacked.call(call, unreadable, token=token)) == (UNAUTHENTICATED, "WRONG_TOKEN")


def test_workers_do_not_control_and_schedulers_do_not_work(attacked):
    for token in (attacked.server.token, attacked.server.read_only_token):
        for call in (WORK, FETCH, PUSH):
            assert refusal(attacked.call(call, NOTHING, token=token)) == (UNAUTHENTICATED, "WRONG_TOKEN")
    for call in (PAUSE, WATCH, EVALUATE):
        refused = attacked.call(call, NOTHING, token=attacked.workers.token)
        assert refusal(refused) == (UNAUTHENTICATED, "WRONG_TOKEN")
    assert not attacked.rig.coordinator.machine.paused


def test_who_may_look_may_not_touch(attacked):
    channel, token = attacked.channel(PAUSE), attacked.server.read_only_token
    for call in CONTROLLING_CALLS:
        refused = refusal(attacked.call(call, NOTHING, token=token, channel=channel))
        assert refused == (grpc.StatusCode.PERMISSION_DENIED, "READ_ONLY")
    assert not attacked.rig.coordinator.machine.paused


def test_who_may_look_may_look(attacked):
    channel, token = attacked.channel(PAUSE), attacked.server.read_only_token
    for call in READ_ONLY_CALLS:
        assert was_let_in(attacked.call(call, NOTHING, token=token, channel=channel))


@pytest.mark.parametrize("call", [WORK, PAUSE])
def test_who_guesses_too_often_is_told_to_wait_and_stands_in_nobodys_way(attacked, call):
    channel = attacked.channel(call)
    for number in range(limits.FAILED_CALLS):
        refused = refusal(attacked.call(call, NOTHING, token=f"guess{number}", channel=channel))
        assert refused == (UNAUTHENTICATED, "WRONG_TOKEN")
    for token in ("guess", None):
        error = error_of(attacked.call(call, NOTHING, token=token, channel=channel))
        assert error.reason == "TOO_MANY_FAILURES"
        assert 0 < error.retry_after <= limits.FAILED_CALLS_SECONDS
    # From the same address, on the same connection.
    if call == PAUSE:
        assert list(attacked.call(PAUSE, NOTHING, token=attacked.server.token, channel=channel))
        attacked.rig.coordinator.post_event(events.Resumed())
    else:
        right = attacked.call(FETCH, NOTHING, token=attacked.workers.token, channel=channel)
        assert refusal(right)[0] is grpc.StatusCode.NOT_FOUND
