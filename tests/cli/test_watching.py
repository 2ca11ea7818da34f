"""``sparkopt watch``: as lines, as JSON by a watcher that is killed and its successor, live on a terminal."""

from __future__ import annotations

import json
import signal

from tests.cli.control_calls import MODULES, Shell
from tests.cli.terminals import Terminal
from tests.support.post import SECONDS
from tests.support.proxy import Proxy
from tests.support.served import Served


def kill(watching):
    """Kill a watcher; what it had printed that was not read."""
    watching.kill()
    watching.wait(SECONDS)
    with watching.stdout, watching.stderr:
        return list(watching.stdout)


def test_who_was_killed_and_comes_back_has_seen_every_event_once(shell, client):
    read = []
    before = client.status().last_event
    watching = shell.start("watch", "--json", "--after", before)
    list(client.evaluate([{"x": x} for x in range(20)]))
    read += [watching.stdout.readline() for _ in range(15)]
    watching.send_signal(signal.SIGSTOP)
    list(client.evaluate([{"x": x} for x in range(20, 40)]))
    read += [line for line in kill(watching) if line.endswith("\n")]
    last = client.status().last_event
    # With the token that is good for looking only.
    command = ["--json", "--after", json.loads(read[-1])["sequence"]]
    again = shell.start("watch", *command, "--token-file", str(shell.served.token_file.parent / "look.token"))
    while json.loads(read[-1])["sequence"] < last:
        read.append(again.stdout.readline())
    kill(again)
    events = [json.loads(line) for line in read]
    assert [event["sequence"] for event in events] == list(range(before + 1, last + 1))
    settled = [event["trial"]["values"]["x"] for event in events if event["kind"] == "settled"]
    assert sorted(settled) == list(range(40))


def test_a_connection_that_is_cut_is_made_again_and_no_event_is_missing(shell, client):
    before = client.status().last_event
    proxy = Proxy(shell.served.address)
    try:
        watching = shell.start("watch", "--json", "--after", str(before), "--address", proxy.address)
        read = []
        for x in range(5):
            list(client.evaluate([{"x": x}]))
            read += [json.loads(watching.stdout.readline())["sequence"] for _ in range(3)]
            proxy.cut()
            proxy.mend()
        kill(watching)
    finally:
        proxy.close()
    assert read == list(range(before + 1, before + 16))


def test_elsewhere_than_on_a_terminal_it_is_a_line_for_each_event(shell, client):
    before = client.status().last_event
    watching = shell.start("watch", "--after", str(before))
    (outcome,) = client.evaluate([{"x": 12}])
    lines = [watching.stdout.readline() for _ in range(3)]
    kill(watching)
    assert [line.split()[3] for line in lines] == ["submitted", "started", "settled"]
    assert all(f"{outcome.trial.study}/{outcome.trial.tid} " in line for line in lines)
    assert "ok loss 144" in lines[2]


def test_on_a_terminal_it_is_a_live_table(shell, client, post):
    (done,) = client.evaluate([{"x": 1}])
    with client.evaluation() as stream:
        stream.submit({"x": 7, "meet": post.path})
        visit = post.visit()
        (trial,) = client.trials(states=["leased"])
        terminal = Terminal(shell, "watch")
        names = [worker.name for worker in client.workers()]
        runs = f"{trial.study}/{trial.tid}"
        terminal.wait_for(
            *(*names, runs, "idle", "a second", "parallelism 2 of 2"),
            *(f"{trial.study}: 1 running, ", "best loss "),
        )
        assert f"{done.trial.study}/{done.trial.tid} " not in terminal.shown  # it has begun after that
        visit.answer()
        assert stream.next().ok
        terminal.wait_for(f"settled {runs} ok loss 49")
    (failed,) = client.evaluate([{"x": 2, "raises": "no such model"}])
    terminal.wait_for(f"last failed: {failed.trial.study}/{failed.trial.tid} ")
    terminal.press(b"\x03")
    assert terminal.end() == 130
    assert "\x1b[1A" in terminal.shown, "nothing was drawn again in its place"
    assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l"), (
        "the cursor is still hidden"
    )
    assert "interrupted" in terminal.shown


def test_on_a_terminal_it_can_be_lines(shell, client):
    terminal = Terminal(shell, "watch", "--plain", "--after", "0")
    terminal.wait_for("worker_joined")
    terminal.press(b"\x03")
    assert terminal.end() == 130
    assert "\x1b" not in terminal.shown


def test_stopping_the_study_ends_the_serve_and_whoever_watches(tmp_path):
    served = Served(tmp_path, "driven:square", modules=MODULES)
    shell = Shell(served)
    watching = shell.start("watch", "--json", "--after", "0")
    assert watching.stdout.readline()
    terminal = Terminal(shell, "watch")
    terminal.wait_for("parallelism 2 of 2")
    (study,) = shell.json("stop", "--finish-running")
    assert study["kind"] == "evaluation"
    assert served.wait() == 0
    assert terminal.end() == 0
    assert "the pool has closed" in terminal.shown
    *_, last = watching.stdout
    assert watching.wait(SECONDS) == 0
    assert json.loads(last)["kind"] in ("study_ended", "worker_left")
    watching.stderr.close()
    watching.stdout.close()
