"""Objectives with checkpoints of gigabytes, of files with holes. Imported by evaluators: stands alone."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import psutil

import sparkopt

END = b"the end"


def save_and_load(argument):
    """Save a directory with a file of a size, and load it.

    Args:
        argument: the size, and the process id of the driver.

    Returns:
        What was loaded: the file's size and its last bytes; and by how many bytes the memory of each process
        from this one up to the driver was larger meanwhile than before, at its peak.
    """
    size, driver = argument
    pids = [each.pid for each in (psutil.Process(), *psutil.Process().parents())]
    pids = pids[: pids.index(driver) + 1]
    before = [_forget_peak(pid) for pid in pids]
    save(size)
    (file,) = sparkopt.load_checkpoint().iterdir()
    with file.open("rb") as opened:
        opened.seek(-len(END), 2)
        end = opened.read()
    return (
        file.stat().st_size,
        end,
        [_memory(pid, "VmHWM") - was for pid, was in zip(pids, before, strict=True)],
    )


def save(size):
    """Save a directory with a file of a size; say what is raised."""
    directory = Path(tempfile.mkdtemp())
    with (directory / "vast").open("wb") as file:
        file.truncate(size - len(END))
        file.seek(0, 2)
        file.write(END)
    try:
        sparkopt.save_checkpoint(directory)
    except sparkopt.errors.StorageError as error:
        return str(error)
    finally:
        shutil.rmtree(directory)


def _forget_peak(pid):
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _memory(pid, "VmRSS")


def _memory(pid, field):
    """A field of a process's status, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)[1])
