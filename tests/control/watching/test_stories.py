"""What a pool has recorded of a trial or a worker, as clients are told it."""

from __future__ import annotations

import time

import pytest

from sparkopt.core import events
from sparkopt.core.story import Story
from sparkopt.errors import BadRequestError, NotFoundError, WrongStateError
from sparkopt.wire.v1 import control_pb2 as pb
from tests.control.watching.played import attempt_of, ok
from tests.coordinator import meetings


def told(story):
    """The kind of each line, with an arrow before commands."""
    return [("-> " if line.command else "") + line.text.partition("(")[0] for line in story.lines]


def test_the_story_of_a_trial_goes_through_the_loss_of_its_worker(rig):
    began = time.time()
    study = rig.study(meetings.double)
    first = rig.joined_peer(0)
    study.submit(1)
    attempt_of(first)
    rig.on_loop(lambda: rig.coordinator.step(events.WorkerGone("gang0.1/worker0", "its executor is gone")))
    second = rig.joined_peer(1)
    second.outcome(attempt_of(second), 1, **ok(0.5))
    study.settled()
    story = rig.call("GetStory", tid=0)
    assert told(story) == [
        *("TrialsSubmitted", "-> Assign", "WorkerGone", "-> Assign", "OutcomeArrived", "-> Settle"),
    ]
    assert (story.study, story.WhichOneof("about"), story.tid) == (study.name, "tid", 0)
    assert "gang0.1/worker0" in story.lines[1].text
    assert "its executor is gone" in story.lines[2].text
    assert "gang0.1/worker1" in story.lines[3].text
    times = [line.time.ToNanoseconds() / 1e9 for line in story.lines]
    assert times == sorted(times)
    assert began - 1 <= times[0] <= times[-1] <= time.time()
    assert not story.HasField("since")
    assert story.left_out == 0


def test_the_story_of_a_worker_goes_on_when_it_is_gone(rig):
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    study.submit(1)
    attempt_of(peer)
    rig.on_loop(lambda: rig.coordinator.step(events.GangEnded(0, 1, "the job failed")))
    assert list(rig.call("ListWorkers").workers) == []
    story = rig.call("GetStory", worker="gang0.1/worker0")
    assert told(story) == ["WorkerJoined", "-> Assign", "GangEnded"]
    assert (story.study, story.WhichOneof("about"), story.worker) == ("", "worker", "gang0.1/worker0")
    assert "the job failed" in story.lines[-1].text


def test_a_worker_whose_story_is_forgotten_is_known_as_long_as_it_is_there(rig):
    rig.on_loop(lambda: setattr(rig.coordinator.machine, "_story", Story(length=2)))
    rig.joined_peer()
    for _ in range(3):
        rig.call("Pause")
    story = rig.call("GetStory", worker="gang0.1/worker0")
    assert list(story.lines) == []
    assert story.HasField("since")


def test_a_trial_whose_story_is_forgotten_is_known(rig):
    study = rig.study(meetings.double)
    study.submit(1)
    rig.on_loop(lambda: setattr(rig.coordinator.machine, "_story", Story(length=2)))
    for _ in range(3):
        rig.call("Pause")
    story = rig.call("GetStory", tid=0)
    assert (story.tid, list(story.lines)) == (0, [])
    assert story.HasField("since")


def test_the_last_thousand_lines_are_told_and_the_others_counted(rig):
    study = rig.study(meetings.double)
    study.submit(1)

    def cancel_another():
        for number in range(1200):
            event = events.CancelRequested(study.name, 0, f"number {number}")
            rig.coordinator.machine.step(event, rig.coordinator.now())

    rig.on_loop(cancel_another)
    story = rig.call("GetStory", tid=0)
    # The first of the cancels settled it.
    assert (len(story.lines), story.left_out) == (1000, 202)
    assert "number 1199" in story.lines[-1].text
    assert "number 200'" in story.lines[0].text


def test_the_lines_of_an_answer_have_their_limit(rig):
    study = rig.study(meetings.double)
    study.submit(1)
    reason = "\N{PILE OF POO}" * 1000

    def cancel_again():
        for _ in range(1000):
            rig.coordinator.machine.step(events.CancelRequested(study.name, 0, reason), 0.0)

    rig.on_loop(cancel_again)
    story = rig.call("GetStory", tid=0)
    assert story.ByteSize() < 3 * 1024**2
    assert 100 < len(story.lines) < 1000
    assert story.left_out == 1002 - len(story.lines)


def test_what_is_not_there_is_refused(rig):
    rig.joined_peer()
    assert rig.refusal("GetStory", tid=0) == (NotFoundError, "NO_STUDY")
    one = rig.study(meetings.double)
    one.submit(1)
    assert rig.refusal("GetStory", tid=1) == (NotFoundError, "NO_TRIAL")
    assert rig.refusal("GetStory", tid=-1, study=one.name) == (NotFoundError, "NO_TRIAL")
    assert rig.refusal("GetStory", tid=0, study="another") == (NotFoundError, "NO_STUDY")
    assert rig.refusal("GetStory", worker="gang0.1/worker7") == (NotFoundError, "NO_WORKER")
    rig.study(meetings.double).submit(1)
    assert rig.refusal("GetStory", tid=0) == (WrongStateError, "STUDY_NOT_NAMED")
    assert rig.call("GetStory", tid=0, study=one.name).study == one.name


@pytest.mark.parametrize(
    "fields", [{}, {"study": "study-0"}, {"study": "study-0", "worker": "gang0.1/worker0"}, {"worker": ""}]
)
def test_a_story_is_of_a_trial_or_of_a_worker(rig, fields):
    rig.study(meetings.double).submit(1)
    rig.joined_peer()
    kind, reason = (
        (NotFoundError, "NO_WORKER") if fields == {"worker": ""} else (BadRequestError, "BAD_SUBJECT")
    )
    assert rig.refusal("GetStory", **fields) == (kind, reason)
    assert rig.call("GetStory", worker="gang0.1/worker0") != pb.Story()
