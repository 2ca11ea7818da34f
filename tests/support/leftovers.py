"""Finds what a Spark session's workers have started, by a mark in its environment."""

from __future__ import annotations

import psutil

MARK = "SPARKOPT_TESTS"
"""Set in the environment of whatever Spark starts for this test run, so that it can be told from others'."""


def processes_of(mark: str) -> list[psutil.Process]:
    """The processes that were started with this mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def descendants_of_workers(mark: str) -> list[psutil.Process]:
    """Everything that descends, or did before it was orphaned, from the mark's pyspark workers."""
    found = []
    for process in processes_of(mark):
        try:
            if process.name() != "java" and not _is_daemon(process) and not is_worker(process):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is one of pyspark's workers."""
    return _is_daemon(process.parent())


def _is_daemon(process: psutil.Process | None) -> bool:
    """Whether a process is the one that pyspark forks its workers from."""
    parent = None if process is None else process.parent()
    return parent is not None and process.name() != "java" and parent.name() == "java"
