"""Process A's end of an evaluator's socket: whose turn it is, and which question a reply is for."""

from __future__ import annotations

import asyncio
import socket

import pytest

from sparkopt.worker.evaluator_connection import EvaluatorConnection
from sparkopt.worker.frames import Frame, FrameReader, Kind

RUN = Frame(Kind.RUN, {"timed": False, "trial": (0, 1, "w"), "objective": "o", "objective_file": "/o"}, run=1)


def report(number):
    return Frame(Kind.REPORT, {"id": number, "report": "checkpoint", "name": ""}, run=1)


def request(number, method):
    return Frame(Kind.REQUEST, {"id": number, "method": method}, run=1)


@pytest.fixture
def converse(tmp_path):
    """Has an evaluator say frames, and process A answer, by their ids, those that the test names then.

    Returns the names of the frames' kinds with their ids, as process A heard them; the same of its answers,
    as they came; and its fault.
    """

    async def conversation(said, answered):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        heard, done = [], asyncio.Event()

        def hear(frame):
            heard.append((frame.kind.name, frame.header["id"]))
            if len(heard) == len(said):
                done.set()

        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: EvaluatorConnection(tmp_path, done.set), sock=ours
        )
        with theirs:
            running = loop.create_task(connection.ask(RUN, hear))
            await asyncio.sleep(0)
            theirs.sendall(b"".join(frame.encode() for frame in said))
            await done.wait()
            for number in answered:
                connection.say(Frame(Kind.REPLY, {"id": number}))
            connection.end(ConnectionError())
            with pytest.raises(ConnectionError):
                await running
            connection.abort()
            await connection.closed
            reader = FrameReader(theirs.recv)
            assert reader.next_frame().kind is Kind.RUN
            answers = []
            while (frame := reader.next_frame()) is not None:
                answers.append((frame.kind.name, frame.header["id"]))
        return heard, answers, connection.fault

    return lambda said, answered=(): asyncio.run(conversation(said, answered))


def test_a_report_and_a_request_of_each_lane_are_open_at_once(converse):
    said = [request(1, "mlflow.a"), report(2), request(3, "trial.b"), request(7, "checkpoint.c")]
    heard, answers, fault = converse(said, [3, 2, 1, 7])
    assert heard == [("REQUEST", 1), ("REPORT", 2), ("REQUEST", 3), ("REQUEST", 7)]
    assert [number for _, number in answers] == [3, 2, 1, 7]
    assert fault is None


def test_a_reply_is_sent_once_and_to_an_open_question_only(converse):
    _, answers, _ = converse([request(1, "trial.a"), request(2, "mlflow.b")], [2, 2, 9, 1, 1])
    assert [number for _, number in answers] == [2, 1]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ([report(1), report(2)], "REPORT"),
        ([request(1, "trial.a"), request(2, "trial.b")], "REQUEST"),
        ([request(1, "trial.a"), report(2), request(3, "trial.a")], "REQUEST"),
        ([request(2, "trial.a"), request(1, "mlflow.a")], "REQUEST"),
        ([request(1, "trial.a"), report(1)], "REPORT"),
    ],
    ids=["two reports", "two in a lane", "two in a lane around a report", "an id that falls", "an id twice"],
)
def test_a_question_before_its_turn_is_a_fault(converse, said, kind):
    heard, answers, fault = converse(said)
    assert len(heard) == len(said) - 1
    assert fault == f"a {kind} came before its turn"
    assert answers == []
