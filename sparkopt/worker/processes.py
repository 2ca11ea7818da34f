"""Rules for forked processes: they die together, and leave nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36

_LINUX: Final = sys.platform == "linux"


def fork(child: Callable[[], None]) -> int:
    """Fork a process that calls ``child`` and nothing else, and return its pid.

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


def wake_with_parent() -> None:
    """Have the kernel continue this process when its parent ends, should it be stopped then (Linux).

    A process that cleans up when its parent ends can do so even if somebody has stopped it.
    """
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


def adopt_orphans(adopt: bool = True) -> None:
    """Become the parent of descendants whose own parents end (Linux), so that none can slip away."""
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}): {os.strerror(error)}")


def end_child(pid: int) -> None:
    """Kill a child that has not been reaped, with its process group, and reap it."""
    kill(pid)
    os.waitpid(pid, 0)


def kill(leader: int) -> None:
    """Kill a process that has not been reaped, and its group, which it may have left."""
    kill_group(leader)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(leader, signal.SIGKILL)


def bury_children(keep: Collection[int] = ()) -> None:
    """Kill and reap every descendant of this process, whatever state they are in.

    Args:
        keep: children that stay, with all that descends from them.
    """
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            killed = _kill_descendants(keep)
            if keep and not killed:
                return
            try:
                os.waitpid(killed[0] if keep else -1, 0)
            except ChildProcessError:
                continue


def children() -> list[int]:
    """The children of this process, dead ones that nobody has reaped among them."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return _families().get(os.getpid(), [])


def lead_group(pid: int) -> None:
    """Make a process the leader of a group of its own. Its parent calls it too: neither can be late."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def kill_group(leader: int) -> None:
    """Kill a process group, if any of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill_descendants(keep: Collection[int]) -> list[int]:
    """Kill all descendants except some children and theirs; return the children that were killed."""
    families = _families()
    killed = [child for child in families.get(os.getpid(), []) if child not in keep]
    doomed = list(killed)
    for process in doomed:  # grows meanwhile
        doomed += families.get(process, [])
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return killed


def _families() -> dict[int, list[int]]:
    """The children of each process that has some."""
    found: dict[int, list[int]] = {}
    for parent, child in _parents_linux() if _LINUX else _parents():
        found.setdefault(parent, []).append(child)
    return found


def _parents_linux() -> Iterator[tuple[int, int]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError), Path(entry.path, "stat").open("rb") as file:
                # After the name, which may have any characters in it, come its state and its parent.
                yield int(file.read().rpartition(b")")[2].split()[1]), int(entry.name)


def _parents() -> Iterator[tuple[int, int]]:
    import psutil  # only where there is no /proc, and a worker needs it

    for process in psutil.process_iter(["ppid"]):
        yield process.info["ppid"], process.pid


def describe_exit(status: int) -> str:
    """A wait status in words: ``exit code 3``, ``killed by SIGSEGV``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def cores() -> int:
    """Returns the number of CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        return os.cpu_count() or 1
