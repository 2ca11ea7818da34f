"""Bootstrap of a worker: gives Spark's Python process the driver's sparkopt, and runs the worker with it.

This file travels compiled in the closure of Spark's task, and runs on the executor before there is a sparkopt
to import anything from. So it imports the standard library and PySpark alone.

    what the executor has        what `import sparkopt` is, in this process and its children
    the driver's sparkopt        that one
    another, or none             the driver's, from a zip file in Spark's directory for files
    no grpcio, for instance,     none: UnfitExecutorError names the Python, what it lacks, and a remedy
    or one that does not load

Spark uses its Python processes again for jobs that may want another sparkopt. So the process has the driver's
for as long as the worker runs, and then what it had before: modules, search path and environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pickle
import platform
import re
import secrets
import socket
import subprocess
import sys
import types
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pyspark import SparkFiles

PACKAGE: Final = "sparkopt"

NEEDS: Final = (
    ("grpcio", "grpc", "1.48.2"),
    ("protobuf", "google.protobuf", "4.24"),
    ("cloudpickle", "cloudpickle", "2.0"),
)
"""Packages that a worker needs besides sparkopt, each with a module that tells whether it is there, and the
oldest version. All else that workers import is optional there."""

_KEPT: Final = "_sparkopt_bootstrap"
"""Entry in ``sys.modules`` with what is kept from one worker of this process to the next: the modules of
each sparkopt by its digest, and the digests of installed ones by their places."""

_OF_DRIVERS: Final = ("cli", "dashboard", "notebook", "plots")
"""Rooms of the package that no executor has a use for."""


class UnfitExecutorError(Exception):
    """The executor's Python cannot run a worker; the message says why, and what to do."""


def files_of(package: Any, left_out: tuple[str, ...] = _OF_DRIVERS) -> list[tuple[str, bytes]]:
    """The names and contents of a package's files, in order of their names.

    Args:
        package: its directory, as a path or a :class:`importlib.resources.abc.Traversable`.
        left_out: names in that directory.
    """
    found: list[tuple[str, bytes]] = []
    for entry in package.iterdir():
        name = entry.name
        if name.startswith(".") or name.endswith((".pyc", ".pyi")) or name in ("__pycache__", *left_out):
            continue
        if entry.is_dir():
            found += [(f"{name}/{inner}", data) for inner, data in files_of(entry, ())]
        else:
            found.append((name, entry.read_bytes()))
    return sorted(found)


def digest_of(files: list[tuple[str, bytes]]) -> str:
    """Digest that tells these files from others."""
    digest = hashlib.sha256()
    for name, data in files:
        digest.update(b"%s\0%d\0" % (name.encode(), len(data)))
        digest.update(data)
    return digest.hexdigest()


def run(
    archive: bytes,
    digest: str,
    spec: bytes,
    slot: int,
    resources: dict[str, list[str]],
    attempt: tuple[int, int | None],
) -> int:
    """Be a worker until the coordinator expels it.

    Args:
        archive: the driver's sparkopt, as a zip file that is compressed as a whole.
        digest: of its files.
        spec: the pickled :class:`~sparkopt.worker.spec.WorkerSpec`.
        slot: which of the gang's workers this is.
        resources: addresses of what Spark gave the task, by the resource's name, such as ``gpu``.
        attempt: Spark's number of this attempt of the task, and its id within the application.

    Returns:
        How many trials it ran.

    Raises:
        UnfitExecutorError: if this Python cannot run a worker.
    """
    kept = sys.modules.setdefault(_KEPT, types.ModuleType(_KEPT)).__dict__
    if "fit" not in kept:
        check_needs()
        kept["fit"] = True
    with driver_package(archive, digest, kept):
        from sparkopt.worker import spec as worker_spec
        from sparkopt.worker import task

        try:
            return task.run(pickle.loads(spec), slot, resources, worker_spec.TaskAttempt(*attempt))
        except task.UnloadableError:
            check_loads()
            raise


def check_needs() -> None:
    """Refuse a Python that lacks what a worker needs.

    Raises:
        UnfitExecutorError: if it does.
    """
    _refuse(_lack, "Install what it lacks", "")


def check_loads() -> None:
    """Refuse a Python that has what a worker needs and cannot load it.

    Takes a second, so it is for a worker that could not start.

    Raises:
        UnfitExecutorError: if it cannot.
    """
    _refuse(_not_loaded, "Install that anew", "--force-reinstall ")


def _refuse(fault: Callable[[str, str, str], str], remedy: str, option: str) -> None:
    """Refuse this Python if there is a fault in what a worker needs."""
    faults = [
        (said, f"'{name}>={least}'") for name, module, least in NEEDS if (said := fault(name, module, least))
    ]
    if faults:
        install = " ".join(wanted for _, wanted in faults)
        raise UnfitExecutorError(
            f"{_this_python()} cannot run workers: {', '.join(said for said, _ in faults)}. {remedy}"
            f" (`{sys.executable} -m pip install {option}{install}`), or send the driver's environment to the"
            " executors: `sparkopt pack` makes an archive of it, and prints the settings that use it"
        )


def _not_loaded(name: str, module: str, least: str) -> str:
    """Says that a package cannot be loaded; empty if it can. In a process of its own: see ``task``."""
    command = [sys.executable, "-c", f"import {module}"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip().splitlines() or [f"Python ended with {done.returncode}"])[-1]
    return f"{name} is there and cannot be loaded ({last})"


def _lack(name: str, module: str, least: str) -> str:
    """Says that a package is missing or too old; empty if it is neither, as far as that can be known."""
    try:
        missing = importlib.util.find_spec(module) is None
    except ImportError:  # the package that the module is in
        missing = True
    if missing:
        return f"{name} is missing"
    found = _installed_version(name)
    return f"{name} {found} is older than {least}" if found and _numbers(found) < _numbers(least) else ""


def _installed_version(name: str) -> str:
    """The version of an installed package; empty if that is unknown, as it was put there by other means.

    It stands in the name of a directory. ``importlib.metadata``, which knows other ways too, takes a third of
    the time that a worker needs to start, and five MiB.
    """
    directory = re.compile(rf"{name}-([^-]+)(-.+)?\.(dist|egg)-info", re.IGNORECASE)
    for place in sys.path:
        with contextlib.suppress(OSError), os.scandir(place or os.curdir) as entries:  # or a file, or nothing
            for entry in entries:
                if found := directory.fullmatch(entry.name):
                    return found[1]
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with."""
    numbers = [re.match(r"\d+", part) for part in version.split(".")]
    until = next((at for at, number in enumerate(numbers) if number is None), len(numbers))
    return tuple(int(number[0]) for number in numbers[:until] if number is not None)


def _this_python() -> str:
    return (
        f"the executors' Python ({sys.executable}, version {platform.python_version()}, on"
        f" {socket.gethostname()})"
    )


@contextlib.contextmanager
def driver_package(archive: bytes, digest: str, kept: dict[str, Any]) -> Iterator[None]:
    """Have ``import sparkopt`` give the driver's, in this process and its children, for as long as it lasts.

    Args:
        archive: the driver's sparkopt, as a zip file that is compressed as a whole.
        digest: of its files.
        kept: from earlier workers in this process.
    """
    if _installed_digest(kept) == digest:
        yield
        return
    place = _put(archive, digest)
    before = os.environ.get("PYTHONPATH")
    own = _take_modules()
    sys.modules.update(kept.get(digest, {}))
    sys.path.insert(0, place)
    # For Pythons that an objective starts.
    os.environ["PYTHONPATH"] = place if not before else os.pathsep.join([place, before])
    try:
        yield
    finally:
        kept[digest] = _take_modules()
        sys.modules.update(own)
        sys.path.remove(place)
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _take_modules() -> dict[str, types.ModuleType]:
    """Take sparkopt's modules out of those that are loaded."""
    names = [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]
    return {name: sys.modules.pop(name) for name in names}


def _installed_digest(kept: dict[str, Any]) -> str | None:
    """The digest of the sparkopt that this Python has by itself; None if it has none, or not as files."""
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if len(places) != 1 or not Path(places[0]).is_dir():
        return None
    known: dict[str, str] = kept.setdefault("installed", {})
    if places[0] not in known:
        known[places[0]] = digest_of(files_of(Path(places[0])))
    return known[places[0]]


def _put(archive: bytes, digest: str) -> str:
    """The zip file with the driver's sparkopt, which the first worker of an executor writes.

    Raises:
        UnfitExecutorError: if it cannot be written.
    """
    root = Path(SparkFiles.getRootDirectory()).absolute()
    place = root / f"{PACKAGE}-{digest[:16]}.zip"
    if place.is_file():
        return str(place)
    fresh = root / f"{PACKAGE}-{secrets.token_hex(8)}"
    try:
        fresh.write_bytes(zlib.decompress(archive))
        fresh.replace(place)  # another worker may have been quicker, with the same
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise UnfitExecutorError(
            f"{_this_python()} does not have the driver's sparkopt, which cannot be put into Spark's"
            f" directory for files ({error}). Let the executors write to that, or install sparkopt there, at"
            " the driver's version"
        ) from error
    return str(place)
