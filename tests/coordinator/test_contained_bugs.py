"""A bug on the driver fails a call or ends a search; nobody waits for a thread that has met one."""

from __future__ import annotations

import itertools
import time

import pytest

from sparkopt.coordinator import ObjectiveSpec
from sparkopt.coordinator.channels.payload import Payload
from sparkopt.coordinator.observer import Observer
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, PoolLostError
from sparkopt.wire.lanes import Lane
from sparkopt.wire.v1 import trial_pb2
from tests.coordinator.rig import Study
from tests.support.post import SECONDS


class FaultyRecorder:
    """A recorder with bugs: in the calls that are named, the first time that they are made."""

    def __init__(self, *faulty):
        self._faulty = {*faulty}
        self.kept = {}

    def _run(self, name):
        if name in self._faulty:
            self._faulty.remove(name)
            raise LookupError(name)

    def checkpointed(self):
        return []

    def keep_checkpoint(self, tid, body):
        self._run("keep")
        self.kept[tid] = body
        return Payload(body)

    def checkpoint(self, tid):
        self._run("fetch")

    def drop_checkpoint(self, tid):
        self._run("drop")
        self.kept.pop(tid, None)

    def started(self, started):
        self._run("started")

    def reported(self, reported):
        return reported

    def reported_values(self, reported):
        self._run("values")

    def settled(self, settled):
        self._run("settled")
        return settled


@pytest.fixture
def open_study(rig):
    """Opens studies with recorders, which are closed at the end."""
    opened = []

    def open_study(*faulty):
        name = f"recorded-{len(opened)}"
        channel = rig.coordinator.open_study(name, ObjectiveSpec(b"", 3, None), FaultyRecorder(*faulty))
        opened.append(Study(name, channel))
        return opened[-1]

    yield open_study
    for study in opened:
        study.channel.close()


class Worker:
    """A worker that the test plays, with one trial after another."""

    def __init__(self, rig, slot=0):
        self._peer = rig.peer()
        self._peer.hello(slot)
        self._peer.hear("welcome")
        self._numbers = itertools.count(1)

    def take(self):
        self.attempt = self._hear("assignment").assignment.attempt
        self._asked = itertools.count(1)

    def ask(self, method, body=b""):
        """Ask; the reply."""
        request = trial_pb2.Request(
            attempt=self.attempt,
            id=next(self._asked),
            method=method,
            body=trial_pb2.Payload(inline=body),
        )
        self._peer.say(next(self._numbers), request=request)
        return self._hear("reply").reply

    def _hear(self, kind):
        """The next message but for receipts of values."""
        heard = next(each for each in self._peer.call if each.WhichOneof("body") in ("assignment", "reply"))
        assert heard.WhichOneof("body") == kind
        return heard

    def report(self, value):
        values = trial_pb2.IntermediateValues(attempt=self.attempt, steps=[1], values=[value])
        self._peer.say(values=values)

    def end(self):
        self._peer.outcome(self.attempt, next(self._numbers), kind=trial_pb2.OUTCOME_KIND_OK)


def test_a_partys_bug_is_the_answer_and_the_next_request_is_served(rig):
    study = rig.study(None)
    taken = []

    def take(request):
        taken.append(request)
        if len(taken) == 1:
            raise LookupError("a bug")
        study.channel.reply(request, b"served")

    study.channel.register(Lane.TRIAL, take)
    study.submit(1)
    worker = Worker(rig)
    worker.take()
    assert worker.ask("trial.Any").failure.message == "LookupError: a bug"
    assert worker.ask("trial.Any").body.inline == b"served"
    worker.end()
    assert study.settled().outcome is Outcome.OK


@pytest.mark.parametrize(("call", "method"), [("keep", "checkpoint.Save"), ("fetch", "checkpoint.Load")])
def test_a_keepers_bug_is_the_answer_and_the_next_checkpoint_is_kept(rig, open_study, call, method):
    study = open_study(call, "drop")
    study.submit(1, 2)
    worker = Worker(rig)
    worker.take()
    assert worker.ask(method, b"first").failure.message == f"LookupError: {call}"
    assert not worker.ask("checkpoint.Save", b"second").HasField("failure")
    assert worker.ask("checkpoint.Load").body.inline == b"second"
    worker.end()
    assert study.settled().outcome is Outcome.OK
    worker.take()
    assert worker.ask("checkpoint.Load").body.inline == b""


@pytest.mark.parametrize("call", ["started", "values", "settled"])
def test_a_recorders_bug_ends_its_study_and_no_other_one(rig, open_study, call):
    study = open_study(call)
    study.submit(1)
    worker = Worker(rig)
    worker.take()
    worker.report(0.5)
    worker.end()
    with pytest.raises(JournalError, match=rf"bug \(LookupError: {call}\). Please report it"):
        [study.settled() for _ in range(2)]
    other = rig.study(None)
    other.submit(1)
    worker.take()
    worker.end()
    assert other.settled().outcome is Outcome.OK


class FaultyObserver(Observer):
    """An observer with a bug, where the machine has nothing to do with it."""

    def values_reported(self, lease, steps, values):
        raise LookupError("a bug")


def test_a_message_that_meets_a_bug_ends_the_studies(make_rig):
    rig = make_rig(observer=FaultyObserver())
    study = rig.study(None)
    study.submit(1)
    worker = Worker(rig)
    worker.take()
    worker.report(0.5)
    with pytest.raises(PoolLostError, match=r"bug \(LookupError: a bug\). Please report it"):
        study.settled()


def test_an_action_that_meets_a_bug_ends_the_studies(rig):
    study = rig.study(None)

    def act():
        raise LookupError("a bug")

    assert rig.coordinator.post(act)
    with pytest.raises(PoolLostError, match=r"bug \(LookupError: a bug\). Please report it"):
        study.channel.next_settled(time.monotonic() + SECONDS)
