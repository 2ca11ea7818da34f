"""Ends of commands and their output in odd places: exit codes, no tracebacks, any terminal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from sparkopt.cli import main
from tests.cli.control_calls import Shell
from tests.cli.terminals import ESCAPE, Terminal
from tests.cli.test_control_commands import CALLING, NEEDED
from tests.support.post import SECONDS

WIDE = "naïve 漢字 🌀"
LISTING = [
    ["status"],
    ["workers"],
    ["trials"],
    ["trials", "--json"],
    ["trials", "--csv"],
    ["watch", "--json"],
]


@pytest.fixture(scope="module")
def wide(shell):
    """The number of a trial with values that are no ASCII, and that has failed for a reason that is none."""
    printed = shell.run("evaluate", "-", stdin=json.dumps({"x": 1, WIDE: 2, "raises": WIDE}), code=5)
    return json.loads(printed.splitlines()[0])["tid"]


@pytest.fixture
def silent():
    """A service that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        yield listening


def at(shell, listening):
    """A shell that takes this for the service."""
    where = Shell(shell.served)
    where.command = lambda name, *more: [
        *shell.command(name, *more),
        "--address",
        f"127.0.0.1:{listening.getsockname()[1]}",
    ]
    return where


def after(shell, name):
    """Options that a command that watches needs to say something at once."""
    return ["--after", "0"] if name == "watch" else []


# Exit codes.


@pytest.mark.parametrize("name", CALLING)
def test_a_service_that_says_nothing_is_3(shell, silent, name):
    said = at(shell, silent).run(name, *NEEDED.get(name, []), "--timeout", "0.2", stdin='{"x": 1}', code=3)
    assert "nobody answers" in said


@pytest.mark.parametrize("name", CALLING)
def test_ctrl_c_is_130_while_nothing_is_answered(shell, silent, name):
    waiting = at(shell, silent).start(name, *NEEDED.get(name, []), stdin=subprocess.PIPE)
    waiting.stdin.write('{"x": 1}')
    waiting.stdin.close()
    waiting.stdin = None
    connection, _ = silent.accept()
    with connection:
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=SECONDS)
    assert (waiting.returncode, err) == (130, "interrupted\n")


@pytest.mark.parametrize("command", LISTING, ids=" ".join)
def test_nobody_who_reads_is_141_and_quiet(shell, client, command):
    list(client.evaluate([{"x": 1}]))
    name, *more = command
    read, write = os.pipe()
    os.close(read)
    printing = subprocess.run(
        [sys.executable, "-m", "sparkopt", *shell.command(name, *more, *after(shell, name))],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=SECONDS,
        check=False,
    )
    os.close(write)
    assert (printing.returncode, printing.stderr) == (141, b"")


@pytest.mark.parametrize("command", LISTING, ids=" ".join)
def test_a_disk_that_is_full_is_1_and_told_in_a_line(shell, client, command):
    list(client.evaluate([{"x": 1}]))
    name, *more = command
    with open("/dev/full", "w") as full:  # noqa: PTH123
        printing = subprocess.run(
            [sys.executable, "-m", "sparkopt", *shell.command(name, *more, *after(shell, name))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert printing.returncode == 1
    assert printing.stderr.startswith("Error: ")
    assert "No space left on device" in printing.stderr
    assert len(printing.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["status", "workers", "trials", "pause", "resume", "set-parallelism", "evaluate"]
)
def test_where_nothing_can_be_printed_it_is_done_all_the_same(shell, name):
    command = [sys.executable, "-m", "sparkopt", *shell.command(name, *NEEDED.get(name, []))]
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        input='{"x": 1}',
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    shell.run("set-parallelism", "2")
    shell.run("resume")
    assert (closed.returncode, "Traceback" in closed.stderr) == (0, False), closed.stderr


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["watch", "--after", str(10**30)], "after"),
        (["watch", "--after", "-1"], "--after"),
        (["cancel", str(10**30)], "tid"),
        (["trials", "--study", "\udcff"], "study"),
        (["drain", "a\udcff"], "worker"),
        (["cancel", "0", "--reason", "\udcff"], "reason"),
        (["evaluate", "-", "--name", "\udcff"], "name"),
        (["evaluate", "-", "--within", "0"], "--within"),
        (["evaluate", "-", "--within", "nan"], "--within"),
        (["evaluate", "-", "--in-flight", "0"], "--in-flight"),
        (["status", "--timeout", "inf"], "timeout"),
        (["status", "--timeout", "nan"], "timeout"),
        (["status", "--timeout", "1e12"], "timeout"),
        (["watch", "--timeout", "0"], "--timeout"),
        (["trials", "--limit", "-1"], "--limit"),
        (["status", "--ca-cert", "no-such-file"], "ca_cert"),
        (["status", "more"], "more"),
        (["status", "--address", "nowhere", "--token-file", "no-such-file"], "nowhere"),
    ],
    ids=lambda value: value if isinstance(value, str) else ascii(" ".join(value)),
)
def test_what_makes_no_sense_is_2_and_named(shell, command, named):
    said = shell.run(*command, stdin='{"x": 1}', code=2)
    assert named in said
    assert "Traceback" not in said


def test_a_command_that_does_not_exist_is_2():
    result = CliRunner().invoke(main, ["wach"])
    assert result.exit_code == 2
    assert "wach" in result.output


# What is printed.


@pytest.mark.parametrize("name", ["", *main.commands])
def test_help_fits_a_terminal_and_nothing_in_it_is_cut(name):
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*name.split(), "--help"])
    assert result.exit_code == 0
    _, *lines = result.output.splitlines()
    assert [line for line in lines if line.endswith("...") or "\\b" in line] == []
    long = [line for line in lines if len(line) > 80 and "[" not in line]
    assert long == []
    assert "Exit codes:" in result.output


@pytest.mark.parametrize("name", ["status", "workers", "trials"])
def test_there_are_no_escape_sequences_where_there_is_no_terminal(shell, client, name):
    list(client.evaluate([{"x": 1}]))
    printing = shell.start(name, env={**os.environ, "TERM": "xterm-256color"})
    out, err = printing.communicate(timeout=SECONDS)
    assert (printing.returncode, err) == (0, "")
    assert out
    assert "\x1b" not in out


@pytest.mark.parametrize("command", LISTING[:-1], ids=" ".join)
def test_an_encoding_that_cannot_hold_it_ends_nothing(shell, wide, command):
    printing = shell.start(*command, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    _, err = printing.communicate(timeout=SECONDS)
    assert (printing.returncode, err) == (0, "")


def test_letters_of_every_kind_are_shown(shell, wide):
    (line,) = (line for line in shell.run("trials").splitlines() if f"/{wide} " in line)
    assert line.count(WIDE) == 3
    assert f"{WIDE}," in shell.run("trials", "--csv").splitlines()[0] + ","
    (trial,) = (trial for trial in shell.json("trials") if trial["tid"] == wide)
    assert trial["values"][WIDE] == 2


@pytest.mark.parametrize("columns", [40, 80])
def test_on_a_narrow_terminal_nothing_is_cut(shell, wide, columns):
    for name in ("status", "trials"):
        terminal = Terminal(shell, name, columns=columns)
        assert terminal.end() == 0
        shown = ESCAPE.sub("", terminal.shown)
        assert "…" not in shown
        words = " ".join(shown.replace("│", " ").split())
        for word in (
            ("failed", "cancelled", "best loss") if name == "status" else ("failed", "worker", "loss")
        ):
            assert word in words, shown


def test_a_terminal_that_can_do_nothing_gets_lines(shell):
    terminal = Terminal(shell, "watch", "--after", "0", TERM="dumb")
    terminal.wait_for("worker_joined")
    terminal.press(b"\x03")
    assert terminal.end() == 130
    assert "\x1b" not in terminal.shown
