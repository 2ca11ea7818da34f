"""Objectives that clients drive. Runs are counted by a file that each appends to."""

from __future__ import annotations

import json
import os
import socket


def meet(post, word):
    """Tell the test at its post (see post.py) who this is, and wait for its word."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(post)
        sock.sendall(json.dumps({"word": word, "pid": os.getpid(), "parent": os.getppid()}).encode() + b"\n")
        sock.recv(100)


def square(point):
    """The square of x; whatever else the point asks for."""
    if "runs" in point:
        with open(point["runs"], "a") as file:  # noqa: PTH123
            file.write(f"{point['x']}\n")
    if "meet" in point:
        meet(point["meet"], str(point["x"]))
    if "raises" in point:
        raise ValueError(point["raises"])
    if point.get("dies"):
        os._exit(3)
    if point.get("more"):
        return {"loss": point["x"] ** 2, "status": "ok", "parts": [1, 2.5, "three"]}
    return point["x"] ** 2


def runs_in(file):
    """The x of each run, in order."""
    return [int(line) for line in file.read_text().splitlines()]
