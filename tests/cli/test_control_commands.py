"""The commands that look at and steer a ``sparkopt serve``: what they print, change, and how they end."""

from __future__ import annotations

import json
import re
import signal

import pytest
from click.testing import CliRunner

from sparkopt.cli import main
from tests.support.driven import runs_in

CALLING = [
    "status",
    "workers",
    "trials",
    "story",
    "watch",
    "pause",
    "resume",
    "set-parallelism",
    "cancel",
    "drain",
]
CALLING += ["submit", "evaluate", "stop"]
NEEDED = {"story": ["0"], "set-parallelism": ["1"], "cancel": ["0"], "drain": ["somebody"]}
NEEDED |= {"submit": ["-"], "evaluate": ["-"]}


def test_status_says_what_the_pool_does(shell, client):
    list(client.evaluate([{"x": 3}, {"x": 2}]))
    (status,) = shell.json("status")
    assert status == json.loads(json.dumps(status))
    assert (status["parallelism"], status["max_parallelism"], status["paused"]) == (2, 2, False)
    assert status["opened"].endswith("+00:00")
    (study,) = status["studies"]
    assert study["kind"] == "evaluation"
    assert study["ended"] is None
    assert study["trials"]["ok"] >= 2
    assert study["best_loss"] <= 4.0
    text = shell.run("status")
    assert status["pool"] in text
    assert study["name"] in text
    assert "parallelism 2 of 2" in text


def test_workers_are_listed(shell):
    listed = shell.json("workers")
    assert len(listed) == 2
    assert {worker["state"] for worker in listed} == {"idle"}
    text = shell.run("workers")
    assert all(worker["name"] in text for worker in listed)


def test_trials_are_listed_by_state(shell, client):
    by_x = {
        each.point["x"]: each.trial for each in client.evaluate([{"x": 41}, {"x": 42, "raises": "no such x"}])
    }
    of = {trial["tid"]: trial for trial in shell.json("trials")}
    assert of[by_x[41].tid]["values"] == {"x": 41}
    assert of[by_x[41].tid]["loss"] == 41.0**2
    failed = shell.json("trials", "--state", "failed", "--state", "lost")
    assert by_x[42].tid in [trial["tid"] for trial in failed]
    assert {trial["state"] for trial in failed} == {"failed"}
    text = shell.run("trials", "--state", "failed")
    assert f"/{by_x[42].tid} " in text
    assert f"/{by_x[41].tid} " not in text


def test_what_is_paused_starts_nothing_until_it_is_resumed(shell, client, tmp_path):
    runs = tmp_path / "runs"
    (status,) = shell.json("pause")
    assert status["paused"]
    assert "paused" in shell.run("pause")
    with client.evaluation() as stream:
        stream.submit({"x": 5, "runs": str(runs)})
        with client.watch(after=status["last_event"]) as events:
            assert "submitted" in (event.kind for event in events)
        assert not runs.exists()
        assert shell.json("status")[0]["trials"]["leased"] == 0
        (status,) = shell.json("resume")
        assert not status["paused"]
        assert stream.next().result == 25
    assert runs_in(runs) == [5]


def test_fewer_run_at_once_from_the_moment_that_the_command_ends(shell, client, post):
    assert shell.json("set-parallelism", "1")[0]["parallelism"] == 1
    try:
        with client.evaluation() as stream:
            for x in range(3):
                stream.submit({"x": x, "meet": post.path})
            for _ in range(3):
                visit = post.visit()
                assert shell.json("status")[0]["trials"]["leased"] == 1
                assert post.nobody_waits()
                visit.answer()
                assert stream.next().ok
    finally:
        assert "parallelism 2" in shell.run("set-parallelism", "2")


def test_more_than_there_are_workers_is_refused(shell):
    assert "2" in shell.run("set-parallelism", "3", code=1)
    shell.run("set-parallelism", "0", code=2)
    shell.run("set-parallelism", "many", code=2)


def test_a_trial_that_runs_can_be_cancelled(shell, client, post):
    with client.evaluation() as stream:
        stream.submit({"x": 6, "meet": post.path})
        visit = post.visit()
        (running,) = shell.json("trials", "--state", "leased")
        (trial,) = shell.json("cancel", running["tid"], "--reason", "too slow")
        assert trial["tid"] == running["tid"]
        outcome = stream.next()
        visit.wait_for_the_end()
    assert outcome.trial.state == "cancelled"
    assert "too slow" in outcome.trial.reason
    assert f"/{running['tid']} is cancelled" in shell.run("cancel", running["tid"])
    assert "1000000" in shell.run("cancel", "1000000", code=1)


def test_the_story_of_a_trial_and_of_its_worker(shell, client):
    (outcome,) = client.evaluate([{"x": 43}])
    tid, worker = outcome.trial.tid, outcome.trial.worker
    (story,) = shell.json("story", tid)
    assert (story["study"], story["tid"], story["worker"]) == (outcome.trial.study, tid, "")
    kinds = [line["text"].partition("(")[0] for line in story["lines"]]
    assert kinds == ["TrialsSubmitted", "Assign", "OutcomeArrived", "Settle"]
    assert [line["command"] for line in story["lines"]] == [False, True, False, True]
    assert story["lines"][0]["time"].endswith("+00:00")
    lines = shell.run("story", tid, "--study", outcome.trial.study).splitlines()
    if "is not kept any more" in lines[0]:  # other tests have had so many trials in this pool
        del lines[0]
    assert len(lines) == 4
    assert [" -> " in line for line in lines] == [False, True, False, True]
    assert worker in lines[1]
    (story,) = shell.json("story", worker)
    assert (story["study"], story["tid"], story["worker"]) == ("", None, worker)
    assert lines[-1].partition("-> ")[2] in [line["text"] for line in story["lines"]]
    assert "WorkerJoined" in shell.run("story", worker).splitlines()[0]


@pytest.mark.parametrize(
    ("about", "said"),
    [("1000000", "1000000"), ("9" * 30, "64 bits"), ("9" * 5000, "no worker"), ("nobody", "nobody")],
)
def test_the_story_of_what_is_not_there_is_refused(shell, about, said):
    assert said in shell.run("story", about, code=2 if said == "64 bits" else 1)


def test_a_worker_is_of_no_study(shell, client):
    worker = client.workers()[0].name
    assert worker in shell.run("story", worker, "--study", client.status().studies[0].name, code=2)


def test_what_is_not_there_is_refused(shell):
    assert "nobody" in shell.run("drain", "nobody", code=1)
    assert "elsewhere" in shell.run("stop", "--study", "elsewhere", code=1)
    shell.run("trials", "--study", "elsewhere", code=1)


def test_points_are_not_submitted_to_an_evaluation(shell):
    shell.run("submit", "-", stdin='{"x": 1}\n', code=1)
    assert "-:2: " in shell.run("submit", "-", stdin='{"x": 1}\n[]\n', code=2)
    assert "-:1: " in shell.run("submit", "-", stdin="x: 1\n", code=2)
    assert "cannot be read" in shell.run("submit", "no-such-file", code=2)


@pytest.mark.parametrize("name", CALLING)
def test_each_says_which_exit_codes_there_are(name):
    text = CliRunner().invoke(main, [name, "--help"]).output
    for option in ("--address", "--token-file", "--ca-cert", "--timeout", "--json"):
        assert option in text or (option, name) == ("--json", "evaluate")  # it prints nothing else
    codes = re.findall(r"^ +(\d+)  \w", text.split("Exit codes:")[1], re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "130", "141"]


@pytest.mark.parametrize("name", CALLING)
def test_nobody_at_the_address_is_3(shell, name):
    command = shell.command(name, *NEEDED.get(name, []))
    command[command.index("--address") + 1] = "127.0.0.1:1"
    result = CliRunner().invoke(main, command, input='{"x": 1}')
    assert result.exit_code == 3, result.output
    assert "127.0.0.1:1" in result.output


@pytest.mark.parametrize("name", CALLING)
def test_a_token_that_is_wrong_or_missing_is_4(shell, tmp_path, name):
    wrong = tmp_path / "wrong"
    for said in ("there is no token file", str(wrong)):
        command = shell.command(name, *NEEDED.get(name, []))
        command[command.index("--token-file") + 1] = str(wrong)
        result = CliRunner().invoke(main, command, input='{"x": 1}')
        assert result.exit_code == 4, result.output
        assert said in result.output
        assert "not-the-token" not in result.output
        wrong.touch(mode=0o600)
        wrong.write_text("not-the-token")


@pytest.mark.parametrize("name", [name for name in CALLING if name != "watch"])  # see test_watching for that
def test_a_token_that_is_good_for_looking_is_good_for_looking(shell, client, name):
    list(client.evaluate([{"x": 3}]))
    command = shell.command(name, *NEEDED.get(name, []))
    command[command.index("--token-file") + 1] = str(shell.served.token_file.parent / "look.token")
    result = CliRunner().invoke(main, command, input='{"x": 1}')
    assert result.exit_code == (0 if name in ("status", "workers", "trials", "story") else 4), result.output


@pytest.mark.parametrize("address", ["nowhere", "192.0.2.1:7727", "127.0.0.1:many"])
def test_an_address_that_makes_no_sense_or_would_show_the_token_is_2(shell, address):
    command = shell.command("status")
    command[command.index("--address") + 1] = address
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert address.rpartition(":")[0] in result.output


def test_ctrl_c_is_130(shell):
    watching = shell.start("watch", "--json", "--after", "0")
    assert watching.stdout.readline()  # it watches
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=30)
    assert watching.returncode == 130


def test_text_of_an_objective_cannot_steer_the_terminal(shell, client):
    (outcome,) = client.evaluate([{"x": 1, "raises": "\x1b[2J"}])
    assert "\x1b" in (outcome.failure.message + outcome.trial.reason)
    assert "\x1b" not in shell.run("trials")


def test_a_trial_that_has_settled_is_neither_cancelled_nor_pruned(shell, client):
    (done,) = client.evaluate([{"x": 43}])
    for options in ([], ["--prune"]):
        assert shell.json("cancel", str(done.trial.tid), *options)[0]["state"] == "ok"
    assert shell.json("trials", "--state", "pruned") == shell.json("trials", "--state", "pruning") == []
    assert shell.json("status")[0]["trials"]["pruned"] == 0
    assert "pruned" in shell.run("status")
