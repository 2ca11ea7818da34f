"""Evaluate, asked again by the same ids: what runs once, what is kept of it, and what is forgotten."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import grpc

from sparkopt.control import kept_answers as kept_room
from sparkopt.control.kept_answers import KeptAnswers
from sparkopt.control.values import struct_of
from sparkopt.wire.v1 import control_pb2
from tests.control.evaluation.evaluated import double, meet

MIB = 2**20


def test_an_id_is_answered_again_and_runs_once(rig):
    rig.work(0)
    rig.evaluation(meet)
    stream, other = rig.stream(), rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit().answer("once")
    first = stream.hear()
    stream.ask("p", post=rig.post.path, word="p")
    assert stream.hear() == first
    for _ in range(2):
        other.ask("p", word="p", post=rig.post.path)
    assert [other.hear(), other.hear()] == [first, first]
    assert rig.post.nobody_waits()
    assert rig.on_loop(lambda: rig.coordinator.machine.submitted) == 1


def test_an_id_belongs_to_one_point(rig):
    rig.work(0)
    rig.evaluation(double)
    stream = rig.stream()
    stream.ask("p", x=1)
    assert stream.results(1) == {"p": 2}
    stream.ask("p", x=2)
    assert stream.rejection() == ("p", "ID_REUSED")
    stream.ask("p", control_pb2.Point(struct=struct_of({"x": 1})))
    assert stream.results(1) == {"p": 2}


def test_what_runs_is_answered_to_the_newest_stream_that_asks(rig):
    rig.work(0)
    rig.evaluation(meet)
    old, new = rig.stream(), rig.stream()
    old.ask("p", post=rig.post.path, word="p")
    visit = rig.post.visit()
    for _ in range(2):
        new.ask("p", post=rig.post.path, word="p")
    new.ask("no point", control_pb2.Point(json="["))
    assert new.rejection()[0] == "no point"  # so it has been asked for twice
    old.finish()
    assert old.ends_well()
    visit.answer("done")
    assert new.results(1) == {"p": "done"}
    new.finish()
    assert new.ends_well()


def test_ids_of_trials_are_known_while_they_run(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("mine", post=rig.post.path, word="p")
    visit = rig.post.visit()
    study = rig.studied(evaluation)
    assert rig.on_loop(lambda: study.request_id(0)) == "mine"
    visit.answer()
    stream.outcome()
    assert rig.on_loop(lambda: study.request_id(0)) == ""


def test_a_stream_that_is_cut_cancels_nothing(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    words = [f"w{number}" for number in range(10)]
    for word in words:
        stream.ask(word, post=rig.post.path, word=word)
    rig.post.visit().answer("w0 done")
    assert stream.results(1) == {"w0": "w0 done"}
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 10)
    stream.cut()
    for _ in words[1:-1]:
        visit = rig.post.visit()
        visit.answer(f"{visit.word} done")
    other = rig.stream()
    for word in words:
        other.ask(word, post=rig.post.path, word=word)
    visit = rig.post.visit()
    visit.answer(f"{visit.word} done")
    assert other.results(10) == {word: f"{word} done" for word in words}
    assert rig.on_loop(lambda: rig.coordinator.machine.submitted) == 10
    other.finish()
    assert other.ends_well()
    assert rig.on_loop(lambda: len(study._kept._sizes)) == 10, "some would never be forgotten"


def test_what_a_killed_client_has_asked_for_runs_once_whoever_asks_again(rig, tmp_path):
    rig.work(0, 1)

    def note(point):
        with open(point["file"], "a") as file:  # noqa: PTH123
            file.write(f"{point['number']}\n")
        return point["number"]

    rig.evaluation(note)
    file = str(tmp_path / "runs")
    task = {"address": rig.server.address, "token": rig.server.token, "points": 300, "file": file}
    client = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("client_to_kill.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with client:
        client.stdin.write(f"{json.dumps(task)}\n")
        client.stdin.flush()
        heard = {client.stdout.readline().strip() for _ in range(20)}
        client.kill()
    assert len(heard) == 20
    other = rig.stream()
    for number in range(300):
        other.ask(f"p{number}", number=number, file=file)
    assert other.results(300) == {f"p{number}": number for number in range(300)}
    assert sorted(map(int, Path(file).read_text().split())) == list(range(300))


def test_large_results_are_answered_again_and_leave_no_files(rig, tmp_path):
    rig.work(0)
    evaluation = rig.evaluation(lambda point: point["letter"] * (5 * MIB))
    stream = rig.stream()
    for letter in "ab":
        stream.ask(letter, letter=letter)
        assert json.loads(stream.outcome().result) == letter * (5 * MIB)
    other = rig.stream()
    for letter in "ba":
        other.ask(letter, letter=letter)
        assert json.loads(other.outcome().result) == letter * (5 * MIB)
    assert len([path for path in (tmp_path / "driver").rglob("*") if path.is_file()]) == 2
    for each in (stream, other):
        each.finish()
        assert each.ends_well()
    evaluation.close()
    assert [path for path in (tmp_path / "driver").rglob("*") if path.is_file()] == []


def test_a_large_result_whose_file_is_gone_ends_its_stream_alone(rig, tmp_path):
    rig.work(0)
    rig.evaluation(lambda point: "x" * (2 * MIB))
    stream = rig.stream()
    stream.ask("p")
    stream.outcome()
    stream.finish()
    assert stream.ends_well()
    for path in (tmp_path / "driver").rglob("*"):
        if path.is_file():
            path.unlink()
    again, other = rig.stream(), rig.stream()
    again.ask("p")
    assert again.error().code() is grpc.StatusCode.INTERNAL
    other.ask("q")
    assert len(other.outcome().result) > MIB


def test_answers_are_forgotten_oldest_first(rig):
    rig.work(0)
    evaluation = rig.evaluation(double)
    study = rig.studied(evaluation)
    study._kept = KeptAnswers(study._forget, answers=2)
    stream = rig.stream()
    # Two are kept; each step is what is asked for, and how many trials there have been by then.
    for number, trials in [(0, 1), (1, 2), (2, 3), (1, 3), (3, 4), (1, 4), (2, 5)]:
        stream.ask(f"p{number}", x=number)
        assert stream.results(1) == {f"p{number}": 2 * number}
        assert rig.on_loop(lambda: rig.coordinator.machine.submitted) == trials
    stream.ask("p0", x=100)
    assert stream.results(1) == {"p0": 200}, "its id is free again"


def test_answers_are_forgotten_when_they_take_too_much_room(rig, tmp_path):
    rig.work(0)
    evaluation = rig.evaluation(lambda point: "x" * (2 * MIB))
    study = rig.studied(evaluation)
    study._kept = KeptAnswers(study._forget, bytes_=5 * MIB)
    stream = rig.stream()
    for number in range(3):
        stream.ask(f"p{number}")
        stream.outcome()
    stream.finish()
    assert stream.ends_well()
    assert rig.on_loop(lambda: sorted(study._points)) == ["p1", "p2"]
    assert len([path for path in (tmp_path / "driver").rglob("*") if path.is_file()]) == 2


def test_the_limits_of_what_is_kept():
    assert (kept_room.ANSWERS, kept_room.BYTES) == (100_000, 256 * MIB)
