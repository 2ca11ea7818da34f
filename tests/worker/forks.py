"""Objectives that fork, and whose children come out of them in every way. Imported by evaluators."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading

from sparkopt.wire.report_kinds import ReportKind
from sparkopt.worker.reports import ReportingObjective


def leave(how):
    """Come out of the objective."""
    if how == "returns":
        return "the child's"
    if how == "raises":
        raise ValueError("the child's")
    if how == "exits":
        sys.exit(5)
    if how == "exits with a text":
        sys.exit("the child's last words")
    if how == "exits without a code":
        sys.exit()
    if how == "is interrupted":
        raise KeyboardInterrupt
    raise AssertionError(how)


FORKS = {
    "os.fork": os.fork,
    "os.forkpty": lambda: os.forkpty()[0],
    "libc's fork": lambda: ctypes.CDLL(None).fork(),
}


def fork(argument):
    """Fork a child that comes out too; the parent says how it ended: its exit code, or minus a signal."""
    way, how = argument
    pid = FORKS[way]()
    if pid == 0:
        return leave(how)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def fork_and_go_on(how):
    """Fork a child that comes out when the parent has long answered, and say its pid."""
    if how == "look":
        return os.getpid()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)  # until its parent closes the other end, in the next trial
        return leave(how)
    KEPT.append((writing, pid))
    return pid


KEPT = []


def let_the_children_out(argument):
    """Fork a child in the first trial, have it come out in the second, and say how it ended."""
    if argument != "now":
        return fork_and_go_on(argument)
    writing, pid = KEPT.pop()
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def fork_in_a_thread(how):
    """Fork in a thread that outlives its trial, when the second trial says so; that one says how it ended."""
    if how == "now":
        go, done, ended = KEPT.pop()
        go.set()
        done.wait()
        return ended
    go, done, ended = threading.Event(), threading.Event(), []

    def run():
        go.wait()
        pid = os.fork()
        if pid:
            ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            done.set()

    threading.Thread(target=run, daemon=True).start()
    KEPT.append((go, done, ended))
    return None


def start_a_process(how):
    """A process of multiprocessing that is left running, until the second trial ends it."""
    if how == "now":
        process = KEPT.pop()
        process.terminate()
        process.join()
        return process.exitcode
    process = multiprocessing.get_context("fork").Process(target=signal.pause, daemon=True)
    process.start()
    KEPT.append(process)
    return None


def fork_while_it_is_pickled(_):
    """A result that forks when it is pickled."""
    return Forking()


class Forking:
    def __reduce__(self):
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
        return str, (f"{pid > 0}",)


class ReportInAChild(ReportingObjective):
    """A child that reports and asks, and the parent that says what the child was told."""

    def run(self, argument, reporter):
        reading, writing = os.pipe()
        if os.fork() == 0:
            try:
                if argument == "report":
                    reporter.report(ReportKind.ATTACHMENT, 1, "name")
                else:
                    reporter.ask("trial.anything")
            except BaseException as error:
                os.write(writing, f"{type(error).__name__}: {error}".encode())
            return "the child's"
        os.close(writing)
        with os.fdopen(reading) as file:
            said = file.read()
        reporter.report(ReportKind.ATTACHMENT, 2, "the parent's")
        return said
