"""Objectives that get in the way of the evaluator's own work. Imported by evaluators."""

from __future__ import annotations

import builtins
import contextlib
import gc
import json
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from sparkopt.worker.frames import Frame, Kind


def sockets():
    """The numbers of this process's sockets."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            if str(path.readlink()).startswith("socket:"):
                found.append(int(path.name))
        except FileNotFoundError:
            continue
    return found


def write(data):
    """Write bytes to every socket of this process, as often as it takes."""
    for number in sockets():
        os.set_blocking(number, True)
        left = data
        while left:
            left = left[os.write(number, left) :]


def frame(kind, header, run=None, payload=b""):
    return Frame(kind, header, payload, RUN[0] if run is None else run).encode()


def frame_of(kind, header):
    """The bytes of a frame whose header is these bytes."""
    return struct.pack("!3sBQIQ", b"\xffB\xfe", kind, RUN[0], len(header), 0) + header


RUN = [1]
"""The number of the run of the moment: a request carries it, as an objective cannot know it."""

GOOD = {"seconds": 0.1, "threads": 0, "loss": None, "fault": ""}

WRITTEN = {
    "nothing of ours": lambda: b"hello",
    "one byte": lambda: b"x",
    "the frame of an older version": lambda: b"\x02\0\0\0\x02\0\0\0\0\0\0\0\0[]",
    "a header that is a list": lambda: frame_of(Kind.FAILURE, b"[]"),
    "a header that is not JSON": lambda: frame_of(Kind.FAILURE, b"\xff{"),
    "a header nested too deeply": lambda: frame_of(Kind.FAILURE, b"[" * 200_000),
    "a header of 4 GiB": lambda: struct.pack("!3sBQIQ", b"\xffB\xfe", 2, RUN[0], 2**32 - 1, 0),
    "a payload of 2 EiB": lambda: struct.pack("!3sBQIQ", b"\xffB\xfe", 2, RUN[0], 2, 2**61) + b"{}",
    "an unknown kind": lambda: struct.pack("!3sBQIQ", b"\xffB\xfe", 99, RUN[0], 2, 0) + b"{}",
    "what only process A sends": lambda: frame(Kind.REPORTED, {}),
    "an empty result": lambda: frame_of(Kind.RESULT, b""),
    "a result in JSON": lambda: frame_of(Kind.RESULT, json.dumps(GOOD).encode()),
    "seconds that are no number": lambda: frame(Kind.RESULT, {**GOOD, "seconds": float("nan")}),
    "negative seconds": lambda: frame(Kind.RESULT, {**GOOD, "seconds": -1}),
    "too many threads": lambda: frame(Kind.RESULT, {**GOOD, "threads": 2**31}),
    "a fault that ends too late": lambda: frame_of(Kind.RESULT, bytes(20) + b"\0\0\0\7fault"),
    "a fault that is no text": lambda: frame_of(Kind.RESULT, bytes(20) + b"\0\0\0\1\0\0\xff"),
    "a failure with seconds in words": lambda: frame(
        Kind.FAILURE, {"seconds": "long", "type": "a", "message": "b", "traceback": ""}
    ),
    "a file of somebody else": lambda: frame(Kind.RESULT, {**GOOD, "file": "/etc/hostname"}),
    "a file out of the directory": lambda: frame(Kind.RESULT, {**GOOD, "file": "../../etc/hostname"}),
    "a failure that is no text": lambda: frame(
        Kind.FAILURE, {"seconds": 1, "type": "a", "message": "\udcff", "traceback": ""}
    ),
    "an answer to an earlier run": lambda: frame(Kind.RESULT, GOOD, RUN[0] - 1),
    "an answer to a run that is to come": lambda: frame(Kind.RESULT, GOOD, RUN[0] + 1),
    "a start that nobody asked for": lambda: frame(Kind.STARTED, {}),
    "a report of an unknown kind": lambda: frame(Kind.REPORT, {"id": 1, "report": "gossip", "name": ""}),
    "a report with a name that is no text": lambda: frame(
        Kind.REPORT, {"id": 1, "report": "checkpoint", "name": "\ud800"}
    ),
    "two requests at once": lambda: 2 * frame(Kind.REQUEST, {"id": 1, "method": "trial.m"}),
    "two requests at once in a lane": lambda: b"".join(
        frame(Kind.REQUEST, {"id": number, "method": f"trial.m{number}"}) for number in (1, 2)
    ),
    "two lanes with the same id": lambda: b"".join(
        frame(Kind.REQUEST, {"id": 1, "method": f"{lane}.m"}) for lane in ("trial", "mlflow")
    ),
    "ids that fall": lambda: b"".join(
        frame(Kind.REQUEST, {"id": number, "method": f"{lane}.m"})
        for number, lane in ((2, "trial"), (1, "mlflow"))
    ),
    "a request with an odd id": lambda: frame(Kind.REQUEST, {"id": 2**70, "method": "trial.m"}),
    "a request without a lane": lambda: frame(Kind.REQUEST, {"id": 1, "method": "m"}),
    "a request of a strange lane": lambda: frame(Kind.REQUEST, {"id": 1, "method": "fast.m"}),
    "a request that is all lane": lambda: frame(Kind.REQUEST, {"id": 1, "method": "trial"}),
    "a request whose method is a list": lambda: frame(Kind.REQUEST, {"id": 1, "method": ["trial.m"]}),
    "a megabyte and more": lambda: frame(Kind.RESULT, GOOD, payload=b"x" * 2_000_000),
}


def write_what_no_evaluator_writes(argument):
    """Write to our sockets, then return as if nothing had happened; or say the pid."""
    if argument == "pid":
        return os.getpid()
    name, RUN[0] = argument
    write(WRITTEN[name]())
    return "a result"


def broken(*_, **__):
    raise RuntimeError("this function was replaced")


class Incomparable:
    """Fails to say whether it equals anything, as an array of numbers does."""

    __hash__ = None

    def __eq__(self, other):
        raise ValueError("neither equal nor unequal")


def replace(module, name, by=broken):
    setattr(module, name, by)


REPLACED = {
    "json.dumps": lambda: replace(json, "dumps", lambda *_, **__: "[]"),
    "json.loads": lambda: replace(json, "loads"),
    "pickle": lambda: [replace(pickle, name) for name in ("dumps", "loads", "dump", "load", "Pickler")],
    "struct": lambda: [replace(struct, name) for name in ("pack", "unpack", "Struct")],
    "json encoding": lambda: [replace(json.JSONEncoder, name) for name in ("encode", "iterencode")],
    "json decoding": lambda: [replace(json.JSONDecoder, name) for name in ("decode", "raw_decode")],
    "time.time": lambda: replace(time, "time", lambda: 0),
    "time.monotonic": lambda: replace(time, "monotonic", lambda: "noon"),
    "socket.send": lambda: [replace(socket.socket, name) for name in ("send", "sendall")],
    "socket.recv": lambda: replace(socket.socket, "recv"),
    "socket.socket": lambda: replace(socket, "socket"),
    "os.write": lambda: [replace(os, name) for name in ("write", "read", "open", "close")],
    "os.getpid": lambda: replace(os, "getpid", lambda: 7),
    "os._exit": lambda: replace(os, "_exit"),
    "os.dup2": lambda: replace(os, "dup2"),
    "os.getcwd": lambda: replace(os, "getcwd"),
    "os.environ": lambda: replace(os, "environ", {}),
    "os.urandom": lambda: replace(os, "urandom"),
    "sys.exit": lambda: replace(sys, "exit"),
    "sys.exc_info": lambda: replace(sys, "exc_info"),
    "sys.stdout": lambda: replace(sys, "stdout", broken),
    "sys.modules": lambda: replace(sys, "modules", {}),
    "signal.signal": lambda: [replace(signal, name) for name in ("signal", "setitimer", "pthread_sigmask")],
    "tempfile.mkstemp": lambda: replace(tempfile, "mkstemp"),
    "traceback": lambda: replace(traceback, "format_exception"),
    "print": lambda: replace(builtins, "print"),
    "open": lambda: replace(builtins, "open"),
    "len": lambda: replace(builtins, "len", lambda _: 0),
    "isinstance": lambda: replace(builtins, "isinstance", lambda *_: True),
    "all builtins": lambda: [
        replace(builtins, name) for name in vars(builtins) if name[0].islower() and name != "setattr"
    ],
    "all classes and hooks of builtins": lambda: [
        replace(builtins, name) for name in vars(builtins) if not name[0].islower()
    ],
    "no builtins": lambda: vars(builtins).clear(),
    "what cannot be compared": lambda: replace(sys, "argv", Incomparable()),
}


REPLACED_FOR_GOOD = {
    "threading": lambda: [replace(threading, name) for name in ("Thread", "Lock", "current_thread")],
    "pathlib": lambda: [replace(Path, name) for name in ("open", "read_bytes", "unlink", "exists", "cwd")],
    "select": lambda: [replace(select, name) for name in ("select", "poll", "epoll")],
    "subprocess": lambda: replace(subprocess, "Popen"),
    "time.sleep": lambda: replace(time, "sleep"),
    "contextlib": lambda: replace(contextlib, "suppress"),
}
"""Functions that no trial finds again: they are left as they are."""


def replace_for_good(name):
    """Replace functions of the standard library that stay replaced."""
    if name != "pid":
        REPLACED_FOR_GOOD[name]()
    return os.getpid()


def replace_a_function(name):
    """Replace functions of the standard library; or say the pid, and use most of them."""
    if name != "use":
        REPLACED[name]()
        return 0.25
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - it is open that is tried
        print(len(json.loads(json.dumps([1, 2]))), file=nothing)
    pickle.loads(pickle.dumps(threading.Thread(target=len).name))
    return (os.getpid(), sys.modules["os"] is os, time.time() > 1e9, os.environ.get("PATH") is not None)


def everything(low):
    os.closerange(low, 70_000)


def close_through_objects():
    for each in gc.get_objects():
        if type(each) is socket.socket:
            each.close()


def shut_down(how):
    for number in sockets():
        with socket.socket(fileno=os.dup(number)) as sock:
            sock.shutdown(how)


CLOSED = {
    "standard output and error": lambda: (os.close(1), os.close(2)),
    "the first hundred": lambda: os.closerange(0, 100),
    "all but the standard streams": lambda: everything(3),
    "all": lambda: everything(0),
    "sockets, as objects": close_through_objects,
    "sockets, for reading": lambda: shut_down(socket.SHUT_RD),
    "sockets, for writing": lambda: shut_down(socket.SHUT_WR),
    "sockets, for reading and writing": lambda: shut_down(socket.SHUT_RDWR),
    "output into a file": lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 1),
}


def close(argument):
    """Close descriptors, then return so many bytes, or raise; or print, and say the pid."""
    if argument == "print":
        sys.stdout.write("printed\n")
        sys.stdout.flush()
        os.write(2, b"written\n")
        return os.getpid()
    name, size = argument
    CLOSED[name]()
    if size is None:
        raise ValueError("with everything closed")
    return bytes(size)


def close_all_and_remove_the_directory(argument):
    """Leave no way home at all; or say the pid."""
    if argument != "pid":
        os.closerange(0, 70_000)
        Path(argument).rmdir()
    return os.getpid()
