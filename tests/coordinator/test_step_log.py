"""Steps of the coordinator in its log: what is of workers and gangs at INFO, what is of trials at DEBUG."""

from __future__ import annotations

import logging

import pytest

from sparkopt.coordinator.step_log import log_step
from sparkopt.core import commands as c
from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.states import Lease, Outcome, TrialKey
from tests.coordinator import meetings

KEY = TrialKey("study1", 17)
LEASE = Lease(KEY, 2)

OF_THE_POOL = [
    *(e.GangLaunched(0, 2), e.GangEnded(0, 1, "it ended", ("w1",)), e.WorkerJoined("w1", 0, 1, LEASE, "w0")),
    *(e.StreamLost("w1"), e.WorkerGone("w1", "its task ended"), e.LimitChanged(3), e.Paused(), e.Resumed()),
    *(e.DrainRequested(None, "enough"), e.DrainRequested("w1", "enough")),
    *(e.LossExplained("w1", True, "its executor was decommissioned"), c.Expel("w1", "enough")),
    *(c.LaunchGang(0, 2, 2), c.WithdrawGang(0, 2), c.ShutDown("enough", False)),
]
OF_TRIALS = [
    *(e.TrialsSubmitted("study1", (17, 18)), e.CancelRequested("study1", 17, "enough")),
    *(e.PruneRequested("study1", 17, "enough"), c.PruneAttempt("w1", LEASE, "no")),
    *(
        e.OutcomeArrived("w1", LEASE, Outcome.OK, 1),
        c.Assign("w1", LEASE),
        c.CancelAttempt("w1", LEASE, "no"),
    ),
    c.Settle(KEY, 2, Outcome.OK, "w1", ""),
]
OF_NOBODY = [e.Heartbeat("w1"), e.Tick(), e.ReportArrived("w1", LEASE, 1), e.GangProgressed(0, 1)]
OF_NOBODY += [e.SubmissionsEnded(), c.DeliverReport("w1", LEASE, 1)]
OF_NOBODY += [e.RequestArrived("w1", LEASE, 1), c.DeliverRequest("w1", LEASE, 1)]


def logged(caplog, item):
    """The levels of what is logged of an event, or of a command."""
    caplog.clear()
    if isinstance(item, c.Command):
        log_step(Machine(1), e.Tick(), [item])
    else:
        log_step(Machine(1), item, [])
    assert {record.name for record in caplog.records} <= {"sparkopt.coordinator"}
    return [record.levelno for record in caplog.records]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_each_level_has_what_is_its_own(caplog, level):
    caplog.set_level(level, "sparkopt.coordinator")
    for items, at in ((OF_THE_POOL, logging.INFO), (OF_TRIALS, logging.DEBUG), (OF_NOBODY, None)):
        for item in items:
            expected = [at] if at is not None and at >= level else []
            assert logged(caplog, item) == expected, item


def test_every_event_and_command_has_its_place():
    kinds = {type(item) for item in (*OF_THE_POOL, *OF_TRIALS, *OF_NOBODY)}
    assert kinds == {*e.Event.__args__, *c.Command.__args__}


def test_a_step_is_logged_by_the_coordinator(rig, caplog):
    caplog.set_level(logging.DEBUG, "sparkopt.coordinator")
    rig.work(0)
    study = rig.study(meetings.double)
    study.submit(2)
    assert study.result() == 4
    rig.close()
    levels = {record.levelno for record in caplog.records if record.name == "sparkopt.coordinator"}
    assert levels == {logging.DEBUG, logging.INFO}
    assert {record.threadName for record in caplog.records} == {"sparkopt-coordinator"}
