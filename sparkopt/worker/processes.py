"""What forked processes owe each other: to die together, and to leave nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36

_LINUX: Final = sys.platform == "linux"


def fork(child: Callable[[], None]) -> int:
    """Fork a process that calls ``child`` and nothing else, and say its pid.

    The child never returns into its parent's stack: it ends with ``os._exit``, 0 if ``child`` returns and
    1 if it raises.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run_child(child)
    return pid


def _run_child(child: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        child()
        code = 0
    except BaseException:  # noqa: BLE001 - the last frame of a process: nobody else can tell what happened
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux; elsewhere the parent must see to it)."""
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end (Linux), so that none can slip away."""
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}): {os.strerror(error)}")


def end_child(pid: int) -> None:
    """Kill a child that has not been reaped, with its process group, and reap it."""
    kill_group(pid)
    os.kill(pid, signal.SIGKILL)  # it may have left its group
    os.waitpid(pid, 0)


def bury_children() -> None:
    """Kill and reap every descendant of this process."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            _kill_descendants()
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def lead_group(pid: int) -> None:
    """Make a process the leader of a group of its own. Its parent calls it too: neither can be late."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def kill_group(leader: int) -> None:
    """Kill a process group, if any of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill_descendants() -> None:
    import psutil  # only where something is left to be killed

    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def describe_exit(status: int) -> str:
    """A wait status in words: ``exit code 3``, ``killed by SIGSEGV``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
