"""Objectives that save and load checkpoints. Imported by evaluators, so standing alone."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

import sparkopt
from sparkopt.errors import SparkoptError
from tests.coordinator.forked_calls import raised_in_a_child
from tests.coordinator.meetings import meet

LARGE = 3 * 2**20
"""Bytes of a checkpoint that no message holds."""


def follow(argument):
    """Do what each item says; return what was loaded and which errors were met, with the attempt before."""
    said = [sparkopt.trial_info().attempt]
    for what, *more in argument:
        try:
            done = DEEDS[what](*more)
        except SparkoptError as error:
            done = f"{type(error).__name__}: {error}"
        if done is not None:
            said.append(done)
    return said


def _load():
    found = sparkopt.load_checkpoint()
    if isinstance(found, Path):
        return {
            str(path.relative_to(found)): path.read_bytes() for path in found.rglob("*") if path.is_file()
        }
    return "nothing" if found is None else found


def _save_directory(sizes):
    """Save a directory with a file of each size, one of them further down."""
    directory = Path(f"checkpoint-of-{os.getpid()}").absolute()
    (directory / "below").mkdir(parents=True)
    for name, size in sizes.items():
        (directory / name).write_bytes(bytes(size))
    try:
        sparkopt.save_checkpoint(directory)
    finally:
        for path in (*map(directory.joinpath, sizes), directory / "below", directory):
            path.rmdir() if path.is_dir() else path.unlink()


def _save_on_a_full_disk(checkpoint):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        sparkopt.save_checkpoint(checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _in_child(save):
    """Save or load in a forked child; what it says."""
    return raised_in_a_child((lambda: sparkopt.save_checkpoint(1)) if save else sparkopt.load_checkpoint)


def _save_beside_reports(size, count):
    """Save in a thread, and report while it does."""
    saving = threading.Thread(target=sparkopt.save_checkpoint, args=(bytes(size),))
    saving.start()
    for step in range(1, count + 1):
        sparkopt.report(float(step), step)
    saving.join()


def _meet(post):
    meet(post)


DEEDS = {
    "save": sparkopt.save_checkpoint,
    "load": _load,
    "meet": _meet,
    "save directory": _save_directory,
    "save on a full disk": _save_on_a_full_disk,
    "in child": _in_child,
    "save beside reports": _save_beside_reports,
}
