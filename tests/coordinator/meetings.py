"""Objectives that report to the test and wait for its word. Imported by evaluators, so standing alone.

Each opens a connection to the test's post (see tests/post.py) and holds it for as long as it lives: the test
sees by the end of the connection that the process is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sparkopt.errors import RequestFailedError, TrialError
from sparkopt.worker.reports import ReportingObjective

GRANDCHILD = "import sys; from tests.coordinator import meetings; meetings.meet(sys.argv[1], 'child')"


def meet(post, word=""):
    """Tell the test who this is; wait for its word and return it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(post)
        sock.sendall(json.dumps({"word": word, "pid": os.getpid(), "parent": os.getppid()}).encode() + b"\n")
        return sock.recv(100).decode()


def wait(argument):
    """Meet the test: the argument is its post and a word."""
    return meet(*argument)


class Awaited:
    """Meets the test while it is loaded, and is what that returns."""

    def __init__(self, post):
        self.post = post

    def __reduce__(self):
        return meet, (self.post, "loads")

    def __call__(self, argument):
        raise AssertionError("it was never loaded")


def note_and_wait(argument):
    """Meet the test, and write down when it begins and ends to run, on the clock of all processes."""
    post, record, number = argument
    _note(record, "start", number)
    meet(post, str(number))
    _note(record, "end", number)
    return number


def _note(record, what, number):
    with Path(record).open("a") as file:
        file.write(f"{time.monotonic()} {what} {number}\n")


def say_and_wait(argument):
    """Print a word without ending the line, then meet the test."""
    print(argument[1], end="", flush=True)  # noqa: T201
    return meet(*argument)


def wait_for_bytes(argument):
    """Meet the test, then return so many bytes."""
    post, size = argument
    meet(post)
    return bytes(size)


def have_children(argument):
    """Have a child and a daemon that each meet the test, then meet it as well."""
    post, word = argument
    subprocess.Popen([sys.executable, "-c", GRANDCHILD, post])
    if (middle := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            meet(post, "daemon")
        os._exit(0)
    os.waitpid(middle, 0)
    return meet(post, word)


def take_a_seat(argument):
    """Meet the test while sitting on a seat of its own; raises if more sit than there are seats."""
    post, word, directory, seats = argument
    for number in range(seats):
        seat = Path(directory) / str(number)
        try:
            os.close(os.open(seat, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        try:
            return meet(post, word)
        finally:
            seat.unlink()
    raise RuntimeError("every seat is taken")


class Report(ReportingObjective):
    """Report what the argument says, meeting the test wherever the argument has a post instead."""

    def run(self, argument, reporter):
        for item in argument:
            if isinstance(item, str):
                meet(item)
            else:
                reporter.report(*item)
        return "done"


class Ask(ReportingObjective):
    """Ask what the argument says, meeting the test wherever it has a post instead; return the answers."""

    def run(self, argument, reporter):
        answers = []
        for item in argument:
            if isinstance(item, str):
                meet(item)
            else:
                answers.append(ask(reporter, *item))
        return answers


class AskFromThreads(ReportingObjective):
    """Ask each item of the argument from a thread of its own, all at once."""

    def run(self, argument, reporter):
        together = threading.Barrier(len(argument))

        def one(item):
            together.wait()
            return ask(reporter, "trial.echo", item)

        with ThreadPoolExecutor(len(argument)) as threads:
            return list(threads.map(one, argument))


class AskBeside(ReportingObjective):
    """Ask each question of the argument from a thread of its own, and meanwhile do what it says in this one.

    That is: meet the test at a post, report, or fork a child that asks. If there is a post in front of it
    all, meet the test there first. The result has the answers, and what the child was told.
    """

    def run(self, argument, reporter):
        *posts, questions, deeds = argument
        told = []
        for post in posts:
            meet(post)
        with ThreadPoolExecutor(len(questions)) as threads:
            answers = threads.map(lambda question: ask(reporter, *question), questions)
            for deed in deeds:
                if deed == "fork":
                    told.append(ask_from_a_child(reporter, "trial.late"))
                elif isinstance(deed, str):
                    meet(deed)
                else:
                    reporter.report(*deed)
            return [*answers, *told]


class AskImpatiently(ReportingObjective):
    """Stop waiting for an answer when the test says so, then ask again."""

    def run(self, argument, reporter):
        def interrupt(*_):
            raise TimeoutError

        def wait_for_the_word(post):
            meet(post)
            os.kill(os.getpid(), signal.SIGALRM)

        signal.signal(signal.SIGALRM, interrupt)
        threading.Thread(target=wait_for_the_word, args=[argument]).start()
        try:
            ask(reporter, "trial.slow")
        except TimeoutError:
            meet(argument)
            return ask(reporter, "trial.quick")
        raise AssertionError("nothing interrupted the wait")


class AskFromAChild(ReportingObjective):
    """Ask from a forked process; return what that said."""

    def run(self, argument, reporter):
        return ask_from_a_child(reporter, "trial.echo")


class AskTooLate(ReportingObjective):
    """Ask through the reporter of the first trial."""

    def run(self, argument, reporter):
        self.reporter = getattr(self, "reporter", reporter)
        return ask(self.reporter, "trial.echo", argument)


def ask_from_a_child(reporter, method):
    """Fork a process that asks; what that was told."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, str(ask(reporter, method, b"x")).encode())
        os._exit(0)
    os.wait()
    return os.read(reader, 1000).decode()


def ask(reporter, method, body=b""):
    """The answer: bytes, however they came, or the text of what was raised."""
    try:
        answer = reporter.ask(method, body)
    except (RequestFailedError, TrialError) as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(answer, Path):
        path, answer = answer, answer.read_bytes()
        path.unlink()
    return answer


def double(x):
    """The plainest objective."""
    return x * 2


def backwards(data):
    """As many bytes as came in."""
    return data[::-1]


def complain(text):
    """Raise with this text."""
    raise ValueError(text)


def clean_up(_):
    """Remove the worker's temporary files, as some do at their end; return so much that it takes a file."""
    for path in Path(tempfile.gettempdir()).glob("sparkopt-*"):
        shutil.rmtree(path)
    return bytes(2 * 2**20)


def clean_up_and_die(argument):
    """The same, and the end of the process."""
    clean_up(argument)
    os._exit(3)


def pid(_):
    """Which process this is."""
    return os.getpid()
