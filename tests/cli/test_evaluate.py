"""``sparkopt evaluate``: lines of points in, lines of outcomes out, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from sparkopt.client import EventKind
from tests.support.driven import runs_in
from tests.support.post import SECONDS
from tests.support.proxy import Proxy

KEYS = ["line", "id", "tid", "state", "loss", "seconds", "values", "result", "error", "traceback"]


def lines_of(points):
    return "".join(f"{json.dumps(point)}\n" for point in points)


def outcomes(shell, *more, points, code=0):
    """The outcomes of points on standard input, and the summary."""
    *printed, summary = shell.run("evaluate", "-", *more, stdin=lines_of(points), code=code).splitlines()
    return [json.loads(line) for line in printed], summary


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "points.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def start(shell):
    """Starts a command in a process of its own."""
    started = []

    def start(*more, **options):
        started.append(shell.start("evaluate", *more, **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_each_point_has_a_line_with_its_outcome(shell):
    points = [{"x": 3}, {"x": 4, "raises": "no such x"}, {"x": 5, "more": True}]
    found, summary = outcomes(shell, points=points, code=5)
    assert all(list(outcome) == KEYS for outcome in found)
    three, four, five = sorted(found, key=lambda outcome: outcome["line"])
    assert [each["values"] for each in (three, four, five)] == points
    assert (three["state"], three["loss"], three["result"], three["error"]) == ("ok", 9.0, 9, None)
    assert (four["state"], four["loss"], four["result"]) == ("failed", None, None)
    assert four["error"] == "ValueError: no such x"
    assert "raise ValueError" in four["traceback"]
    assert (five["loss"], five["result"]["parts"]) == (25.0, [1, 2.5, "three"])
    assert summary.startswith("3 points: 1 failed, 2 ok; best loss 9 (line 1); ")
    assert {trial["tid"] for trial in shell.json("trials")} >= {each["tid"] for each in found}


def test_all_of_them_ok_is_0_and_a_rejected_one_is_not(shell, file):
    text = shell.run("evaluate", str(file('{"x": 1}\n\n  \n{"x": 2}')))
    assert sorted(json.loads(line)["line"] for line in text.splitlines()[:-1]) == [1, 4]
    (found,), summary = outcomes(shell, points=[{"x": "\ud800"}], code=5)
    assert (found["state"], found["tid"]) == ("rejected", None)
    assert found["error"].startswith("BAD_POINT: ")
    assert summary.startswith("1 points: 1 rejected; ")


def test_a_point_that_is_nested_too_deeply_for_the_service_is_rejected(shell):
    said = shell.run("evaluate", "-", stdin='{"x": ' + "[" * 900 + "]" * 900 + "}", code=5)
    assert json.loads(said.splitlines()[0])["error"].startswith("BAD_POINT: ")


def test_no_points_are_no_error(shell, file):
    assert shell.run("evaluate", str(file(""))).startswith("0 points: none sent")


def test_outcomes_come_as_they_are_there_or_in_the_order_of_the_points(client, start, file, post):
    points = file(lines_of([{"x": 1, "meet": post.path}, {"x": 2}, {"x": 3}]))
    mixed = start(points)
    visit = post.visit()
    assert [json.loads(mixed.stdout.readline())["line"] for _ in range(2)] == [2, 3]
    visit.answer()
    assert json.loads(mixed.communicate(timeout=SECONDS)[0])["line"] == 1
    with client.watch() as events:
        ordered = start(points, "--ordered")
        visit = post.visit()
        settled = (event for event in events if event.kind is EventKind.SETTLED)
        assert {next(settled).trial.values["x"] for _ in range(2)} == {2, 3}
        visit.answer()
    printed = ordered.communicate(timeout=SECONDS)[0].splitlines()
    assert [json.loads(line)["line"] for line in printed] == [1, 2, 3]


def test_a_program_may_choose_its_next_point_by_the_last_outcome(start):
    evaluating = start("-", stdin=subprocess.PIPE)
    x = 2
    for _ in range(4):
        evaluating.stdin.write(lines_of([{"x": x}]))
        evaluating.stdin.flush()
        x = json.loads(evaluating.stdout.readline())["result"]
    assert x == 2**16
    out, err = evaluating.communicate(timeout=SECONDS)
    assert (evaluating.returncode, out) == (0, ""), err


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[1]", "is not a JSON object"),
        (b"x: 1", "is not JSON"),
        (b'{"x": NaN}', "NaN is not JSON"),
        (b'{"x": 1e999}', "1e999 is too large"),
        (b'{"x": 1, "x": 2}', "'x' is there twice"),
        (b'{"x": "\xff"}', "is not text in UTF-8"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_bad_line_of_a_file_is_named_before_anything_is_sent(shell, client, file, line, why):
    path = file(b'{"x": 1}\n\n' + line + b"\n")
    before = client.status().trials.submitted
    said = " ".join(shell.run("evaluate", str(path), code=2).split())
    assert f"{path}:3: " in said
    assert why in said
    assert client.status().trials.submitted == before
    assert f"{path}:3: " in " ".join(shell.run("submit", str(path), code=2).split())


def test_a_bad_line_of_standard_input_ends_it_with_what_was_sent_before(shell):
    said = shell.run("evaluate", "-", stdin='{"x": 3}\nx\n{"x": 4}\n', code=2)
    assert json.loads(said.splitlines()[0])["result"] == 9
    assert "-:2: " in said
    assert '"line": 3' not in said


def test_a_file_that_is_not_there_is_wrong_usage(shell, tmp_path):
    assert "cannot be read" in shell.run("evaluate", str(tmp_path / "missing"), code=2)
    assert "cannot be read" in shell.run("evaluate", str(tmp_path), code=2)


def test_a_study_that_is_not_there_is_refused(shell):
    assert "elsewhere" in shell.run("evaluate", "-", "--study", "elsewhere", stdin='{"x": 1}', code=1)


def test_who_asks_again_under_the_same_name_has_nothing_run_twice(shell, file, tmp_path):
    runs = tmp_path / "runs"
    path = str(file(lines_of([{"x": x, "runs": str(runs)} for x in range(5)])))
    first, again = (shell.run("evaluate", path, "--ordered", "--name", tmp_path.name) for _ in range(2))
    assert first.splitlines()[:-1] == again.splitlines()[:-1]
    assert json.loads(first.splitlines()[0])["id"] == f"{tmp_path.name}-1"
    assert sorted(runs_in(runs)) == [0, 1, 2, 3, 4]


def test_no_more_are_in_flight_than_was_said(shell, start, file, post):
    evaluating = start(file(lines_of([{"x": x, "meet": post.path} for x in range(4)])), "--in-flight", "1")
    for _ in range(4):
        visit = post.visit()
        trials = shell.json("status")[0]["trials"]
        assert (trials["leased"], trials["pending"]) == (1, 0)
        visit.answer()
    evaluating.communicate(timeout=SECONDS)
    assert evaluating.returncode == 0


def test_ctrl_c_ends_it_and_says_what_is_missing(start, file, post):
    evaluating = start(file(lines_of([{"x": 1}, {"x": 2, "meet": post.path}])))
    assert json.loads(evaluating.stdout.readline())["line"] == 1
    visit = post.visit()
    evaluating.send_signal(signal.SIGINT)
    _, err = evaluating.communicate(timeout=SECONDS)
    visit.answer()
    assert evaluating.returncode == 130
    assert "2 points: 1 ok, 1 without an outcome" in err
    assert "interrupted" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_it_while_it_waits_for_standard_input(start):
    evaluating = start("-", stdin=subprocess.PIPE)
    evaluating.stdin.write(lines_of([{"x": 1}]))
    evaluating.stdin.flush()
    assert json.loads(evaluating.stdout.readline())["result"] == 1
    evaluating.send_signal(signal.SIGINT)
    assert evaluating.wait(SECONDS) == 130


def test_time_that_is_over_ends_it(shell, client):
    client.pause()
    try:
        said = shell.run("evaluate", "-", "--within", "0.5", stdin='{"x": 1}', code=5)
    finally:
        client.resume()
    assert said.startswith("1 points: 1 without an outcome")
    assert "the 0.5 s are over" in said


def test_nobody_who_reads_ends_it_quietly(start):
    evaluating = start("-", stdin=subprocess.PIPE)
    evaluating.stdout.close()
    evaluating.stdin.write(lines_of([{"x": 1}]))
    evaluating.stdin.flush()
    assert evaluating.wait(SECONDS) == 141
    with evaluating.stderr as err:
        assert err.read().startswith("1 points: ")
    evaluating.stdin.close()
    evaluating.stdin = evaluating.stdout = evaluating.stderr = None


def test_a_connection_that_is_cut_costs_nothing(shell, start, tmp_path):
    runs = tmp_path / "runs"
    proxy = Proxy(shell.served.address)
    try:
        evaluating = start("-", "--address", proxy.address, stdin=subprocess.PIPE)
        for x in range(1, 21):
            evaluating.stdin.write(lines_of([{"x": x, "runs": str(runs)}]))
            evaluating.stdin.flush()
            assert json.loads(evaluating.stdout.readline())["result"] == x * x
            if x % 5 == 0:
                proxy.cut()
                proxy.mend()
        _, err = evaluating.communicate(timeout=SECONDS)
    finally:
        proxy.close()
    assert (evaluating.returncode, runs_in(runs)) == (0, list(range(1, 21))), err


def test_a_token_that_is_good_for_looking_does_not_do(shell):
    look = str(shell.served.token_file.parent / "look.token")
    shell.run("evaluate", "-", "--token-file", look, stdin='{"x": 1}', code=4)
