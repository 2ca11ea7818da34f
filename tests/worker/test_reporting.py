"""B's way to report, and process A's to keep what is on its way."""

from __future__ import annotations

import asyncio
import pickle
import socket

import cloudpickle
import pytest
from evaluations import Request

from sparkopt.errors import TrialError
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
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
def keeps(tmp_path):
    path = tmp_path / "keeps"
    path.write_bytes(cloudpickle.dumps(Keeps()))
    return str(path)


class TestEvaluator:
    def test_a_report_is_a_frame_of_its_own(self, evaluate, keeps):
        (answer,) = evaluate(Request(keeps, {"a": 1}))
        assert answer.load() == {"a": 1}
        ((kind, header, payload),) = answer.heard
        assert (kind, header) == ("REPORT", {"report": "attachment", "name": "name"})
        assert pickle.loads(payload) == {"a": 1}

    def test_a_reporter_does_not_outlive_its_trial(self, evaluate, keeps):
        first, second = evaluate(Request(keeps, 1), Request(keeps, 2))
        assert first.kind == "result"
        assert second.kind == "failure"
        assert second.header["type"] == f"{TrialError.__module__}.{TrialError.__qualname__}"
        assert "after its trial had ended" in second.header["message"]
        assert second.heard == []

    def test_what_does_not_pickle_is_the_objectives_error(self):
        ours, theirs = socket.socketpair()
        with ours, theirs, pytest.raises(TypeError, match="cannot pickle"):
            Reporter(ours, lambda kind, header, value: Frame(kind, header, pickle.dumps(value))).report(
                ReportKind.CHECKPOINT, ours
            )

    def test_a_worker_that_is_gone(self):
        ours, theirs = socket.socketpair()
        theirs.shutdown(socket.SHUT_WR)
        with ours, theirs, pytest.raises(TrialError, match="this worker is being ended"):
            Reporter(ours, lambda kind, header, value: Frame(kind, header)).report(ReportKind.CHECKPOINT, 1)

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
        async def use():
            sent = []
            outbox = Outbox(sent.append)
            await outbox.put_report(trial_pb2.Report(name="a"))
            await outbox.put_report(trial_pb2.Report(name="b"))
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

        asyncio.run(use())

    def test_a_report_too_many_waits_for_an_acknowledgement(self):
        async def use():
            sent = []
            outbox = Outbox(sent.append)
            flood = [asyncio.create_task(outbox.put_report(trial_pb2.Report(name=str(n)))) for n in range(40)]
            await asyncio.wait(flood[:32])
            outbox.put_outcome(self.outcome())  # an outcome has to wait for nobody
            assert len(sent) == 33
            assert not any(task.done() for task in flood[32:])
            outbox.acknowledged(3)
            await asyncio.wait(flood[:35])
            assert len(sent) == 36
            assert not any(task.done() for task in flood[35:])
            outbox.acknowledged(36)
            await asyncio.wait(flood)
            assert [each.report.name for each in sent if each.HasField("report")] == [
                str(n) for n in range(40)
            ]

        asyncio.run(use())
