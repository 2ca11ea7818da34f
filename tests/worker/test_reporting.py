"""B's way to report, and process A's to keep what is on its way."""

from __future__ import annotations

import pickle
import socket

import cloudpickle
import pytest
from evaluations import Request

from sparkopt.errors import TrialError
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
from sparkopt.worker.evaluator_socket import EvaluatorSocket
from sparkopt.worker.frames import Frame
from sparkopt.worker.outbox import Outbox
from sparkopt.worker.reports import Reporter, ReportingObjective


class Keeps(ReportingObjective):
    """Reports its argument, through the first trial's reporter if that was kept."""

    def run(self, argument, reporter):
        self.reporter = getattr(self, "reporter", reporter)
        self.reporter.report(ReportKind.ATTACHMENT, argument, "name")
        return argument


@pytest.fixture
def ends(tmp_path):
    """An evaluator's end of a socket, and process A's."""
    ours, theirs = socket.socketpair()
    sock = EvaluatorSocket(ours, tmp_path)
    with theirs:
        yield sock, theirs
    sock.close()


@pytest.fixture
def keeps(tmp_path):
    path = tmp_path / "keeps"
    path.write_bytes(cloudpickle.dumps(Keeps()))
    return str(path)


class TestEvaluator:
    def test_a_report_is_a_frame_of_its_own(self, evaluate, keeps):
        (answer,) = evaluate(Request(keeps, {"a": 1}))
        assert answer.load() == {"a": 1}
        ((kind, header, payload),) = answer.heard
        assert (kind, header) == ("REPORT", {"report": "attachment", "name": "name", "id": 1})
        assert pickle.loads(payload) == {"a": 1}

    def test_a_reporter_does_not_outlive_its_trial(self, evaluate, keeps):
        first, second = evaluate(Request(keeps, 1), Request(keeps, 2))
        assert first.kind == "result"
        assert second.kind == "failure"
        assert second.header["type"] == f"{TrialError.__module__}.{TrialError.__qualname__}"
        assert "after its trial had ended" in second.header["message"]
        assert second.heard == []

    def test_what_does_not_pickle_is_the_objectives_error(self, ends, tmp_path):
        ours, theirs = ends
        with pytest.raises(TypeError, match="cannot pickle"):
            Reporter(
                ours, lambda kind, header, value: Frame(kind, header, pickle.dumps(value)), tmp_path
            ).report(ReportKind.CHECKPOINT, theirs)

    def test_a_worker_that_is_gone(self, ends, tmp_path):
        ours, theirs = ends
        theirs.shutdown(socket.SHUT_WR)
        reporter = Reporter(ours, lambda kind, header, value: Frame(kind, header), tmp_path)
        with pytest.raises(TrialError, match="this worker is being ended"):
            reporter.report(ReportKind.CHECKPOINT, 1)
        reporter.close()

    @pytest.mark.parametrize(
        ("name", "error", "said"),
        [
            (3, TypeError, "is text, and not the int 3"),
            ("no text \udcff", ValueError, "is not valid text"),
            ("x" * 70_000, ValueError, "has 70,000 characters; 65,536 may be"),
        ],
    )
    def test_a_name_that_no_message_takes_is_refused(self, ends, tmp_path, name, error, said):
        ours, _ = ends
        reporter = Reporter(ours, lambda kind, header, value: Frame(kind, header), tmp_path)
        with pytest.raises(error, match=said):
            reporter.report(ReportKind.ATTACHMENT, 1, name)

    @pytest.mark.parametrize(("timed", "heard"), [(True, ["STARTED"]), (False, [])])
    def test_it_says_when_the_time_begins_to_run_if_asked(self, evaluate, timed, heard):
        (answer,) = evaluate(Request(evaluate.objective, "pid", timed=timed))
        assert [kind for kind, _, _ in answer.heard] == heard

    def test_an_objective_that_cannot_be_loaded_never_started(self, evaluate, tmp_path):
        path = tmp_path / "broken"
        path.write_bytes(b"no pickle")
        (answer,) = evaluate(Request(str(path), 1, timed=True))
        assert (answer.kind, answer.heard) == ("failure", [])


class TestOutbox:
    def outcome(self):
        return trial_pb2.Outcome(attempt=trial_pb2.Attempt(tid=7))

    def test_everything_is_kept_in_order_until_it_is_acknowledged(self):
        sent = []
        outbox = Outbox(sent.append)
        outbox.put_report(trial_pb2.Report(name="a"))
        outbox.put_report(trial_pb2.Report(name="b"))
        assert outbox.outcome is None
        outbox.put_outcome(self.outcome())
        assert [message.sequence for message in sent] == [1, 2, 3]
        assert outbox.unacknowledged == sent
        outbox.acknowledged(1)
        assert outbox.unacknowledged == sent[1:]
        assert outbox.outcome.attempt.tid == 7
        outbox.acknowledged(1)
        outbox.acknowledged(3)
        assert (outbox.unacknowledged, outbox.outcome) == ([], None)
        outbox.put_outcome(self.outcome())
        assert sent[-1].sequence == 4

    def full(self, sent):
        """An outbox whose study has taken nothing for as long as it may."""
        outbox = Outbox(sent.append)
        for number in range(32):
            assert outbox.has_room("slow")
            outbox.put_report(self.report("slow", number))
        return outbox

    def report(self, study, number):
        return trial_pb2.Report(attempt=trial_pb2.Attempt(study=study), name=str(number))

    def test_room_comes_with_what_a_study_takes(self):
        outbox = self.full([])
        assert not outbox.has_room("slow")
        outbox.acknowledged(32)  # it has arrived, but is not taken
        assert not outbox.has_room("slow")
        outbox.taken([7])
        assert outbox.has_room("slow")
        outbox.put_report(self.report("slow", 32))
        outbox.taken([7])
        assert not outbox.has_room("slow")

    def test_another_study_has_room_of_its_own_and_outcomes_need_none(self):
        sent = []
        outbox = self.full(sent)
        assert outbox.has_room("fast")
        outbox.put_outcome(self.outcome())
        assert sent[-1].HasField("outcome")

    def test_after_a_cut_what_was_taken_is_what_has_arrived_and_is_not_named(self):
        outbox = self.full([])
        outbox.acknowledged(30)
        outbox.taken_but(range(1, 31))
        assert not outbox.has_room("slow")  # the last two were not acknowledged: nobody has them yet
        outbox.taken_but(range(2, 31))
        assert outbox.has_room("slow")


def test_a_question_to_a_worker_that_is_gone_fails_at_once(ends, tmp_path):
    ours, theirs = ends
    reporter = Reporter(ours, lambda kind, header, value: Frame(kind, header), tmp_path)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(TrialError, match="this worker is being ended"):
        reporter.ask("anything")
    theirs.close()
    with pytest.raises(TrialError, match="this worker is being ended"):
        reporter.ask("anything")
    reporter.close()
