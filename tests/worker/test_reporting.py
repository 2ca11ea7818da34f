"""B's way to report, and process A's to keep what is on its way."""

from __future__ import annotations

import pickle
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import pytest

from sparkopt.errors import TrialError
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
from sparkopt.worker.asking import Asking
from sparkopt.worker.evaluator_socket import EvaluatorSocket
from sparkopt.worker.frames import Frame, FrameReader, Kind
from sparkopt.worker.outbox import Outbox
from sparkopt.worker.reports import Reporter, ReportingObjective
from tests.worker.evaluations import Request


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
                Asking(ours, tmp_path),
                lambda kind, header, value: Frame(kind, header, pickle.dumps(value)),
                tmp_path,
            ).report(ReportKind.CHECKPOINT, theirs)

    def test_a_worker_that_is_gone(self, ends, tmp_path):
        ours, theirs = ends
        theirs.shutdown(socket.SHUT_WR)
        asking = Asking(ours, tmp_path)
        reporter = Reporter(asking, lambda kind, header, value: Frame(kind, header), tmp_path)
        with pytest.raises(TrialError, match="this worker is being ended"):
            reporter.report(ReportKind.CHECKPOINT, 1)
        asking.close()

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
        asking = Asking(ours, tmp_path)
        reporter = Reporter(asking, lambda kind, header, value: Frame(kind, header), tmp_path)
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
    asking = Asking(ours, tmp_path)
    reporter = Reporter(asking, lambda kind, header, value: Frame(kind, header), tmp_path)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(TrialError, match="this worker is being ended"):
        reporter.ask("trial.anything")
    theirs.close()
    with pytest.raises(TrialError, match="this worker is being ended"):
        reporter.ask("trial.anything")
    asking.close()


@pytest.fixture
def asking(ends, tmp_path):
    asking = Asking(ends[0], tmp_path)
    yield asking
    asking.close()


@pytest.fixture
def reporter(asking, tmp_path):
    return Reporter(asking, lambda kind, header, value: Frame(kind, header), tmp_path)


class ProcessA:
    """The other end of an evaluator's socket, played by the test."""

    def __init__(self, sock) -> None:
        sock.settimeout(60)
        self._sock = sock
        self._reader = FrameReader(sock.recv)

    def hear(self) -> Frame:
        frame = self._reader.next_frame()
        assert frame is not None
        return frame

    def reply(self, question: Frame, payload: bytes = b"") -> None:
        """Answer a report or a request."""
        kind = Kind.REPLY if question.kind is Kind.REQUEST else Kind.REPORTED
        self._sock.sendall(Frame(kind, {"id": question.header["id"]}, payload).encode())


def asking_threads():
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("sparkopt-asking"))


class TestLanes:
    def test_each_thread_gets_its_own_reply_whatever_their_order(self, ends, reporter):
        process_a = ProcessA(ends[1])
        with ThreadPoolExecutor(3) as threads:
            slow = threads.submit(reporter.ask, "mlflow.slow")
            first = process_a.hear()
            quick = threads.submit(reporter.ask, "trial.quick")
            second = process_a.hear()
            report = threads.submit(reporter.report, ReportKind.CHECKPOINT, 1)
            third = process_a.hear()
            assert [each.header["id"] for each in (first, second, third)] == [1, 2, 3]
            process_a.reply(third)
            assert report.result() is None
            process_a.reply(second, b"quick")
            assert quick.result() == b"quick"
            assert not slow.done()
            process_a.reply(first, b"slow")
            assert slow.result() == b"slow"

    def test_in_a_lane_the_next_is_asked_when_the_one_before_has_its_reply(self, ends, reporter):
        process_a = ProcessA(ends[1])
        with ThreadPoolExecutor(3) as threads:
            first = threads.submit(reporter.ask, "trial.first")
            asked = process_a.hear()
            second = threads.submit(reporter.ask, "trial.second")
            report = threads.submit(reporter.report, ReportKind.CHECKPOINT, 1)
            said = process_a.hear()
            assert said.kind is Kind.REPORT
            process_a.reply(said)
            report.result()
            process_a.reply(asked, b"1")
            assert first.result() == b"1"
            asked = process_a.hear()
            assert asked.header["method"] == "trial.second"
            process_a.reply(asked, b"2")
            assert second.result() == b"2"

    @pytest.mark.parametrize("end", ["it hangs up", "it answers what nobody has asked", "it sends no frame"])
    def test_if_process_a_is_gone_every_lane_and_every_turn_is_told(self, ends, reporter, end):
        process_a = ProcessA(ends[1])
        with ThreadPoolExecutor(4) as threads:
            methods = ("mlflow.1", "mlflow.2", "trial.1", "trial.2")
            asking = [threads.submit(reporter.ask, method) for method in methods]
            process_a.hear()
            process_a.hear()
            if end == "it hangs up":
                ends[1].shutdown(socket.SHUT_WR)
            else:
                ends[1].sendall(Frame(Kind.REPLY, {"id": 9}).encode() if "nobody" in end else b"hello")
            for each in asking:
                with pytest.raises(TrialError, match="cannot be sent: this worker is being ended"):
                    each.result()
        with pytest.raises(TrialError, match="this worker is being ended"):
            reporter.report(ReportKind.CHECKPOINT, 1)

    @pytest.mark.parametrize("method", ["anything", "fast.anything", "", "trial"])
    def test_a_method_without_a_lane_is_refused_and_not_sent(self, reporter, method):
        with pytest.raises(ValueError, match="begins with one of mlflow, trial, checkpoint and a dot"):
            reporter.ask(method)
        assert asking_threads() == []

    def test_threads_come_with_the_first_question_and_go_with_the_trial(self, ends, reporter, asking):
        assert asking_threads() == []
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(reporter.ask, "trial.anything")
            process_a = ProcessA(ends[1])
            process_a.reply(process_a.hear())
            assert asked.result() == b""
        assert asking_threads() == ["sparkopt-asking", "sparkopt-asking-replies"]
        asking.close()
        assert asking_threads() == []
