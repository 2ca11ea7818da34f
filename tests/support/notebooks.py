"""Notebooks of examples/: executed in a real kernel, and written with the outputs that are worth keeping.

python -m tests.support.notebooks [NAME...]      what scripts/notebooks calls
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from sparkopt.spark.java import ensure_java
from tests.support.kernels import started_kernel
from tests.support.paths import python_path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SECONDS = 600
"""Seconds that a cell may take."""


class CellFailedError(Exception):
    """A cell of an example raised something."""


def source_of(cell):
    """The text of a cell."""
    return "".join(cell["source"])


def execute(path, directory):
    """Execute a notebook in a directory; return its content with the outputs.

    Raises:
        CellFailedError: with the cell and its traceback.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    ensure_java()
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "IPYTHONDIR": str(directory / ".ipython"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": "pyspark-shell",  # tests turn tracking off by it, and readers do not
    }
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with started_kernel(directory / "kernel.json", cwd=str(directory), env=environment) as kernel:
        for number, cell in enumerate(cells, 1):
            outputs = kernel.run(source_of(cell), SECONDS)
            if outputs.status != "ok":
                raise CellFailedError(
                    f"{path.name}: {source_of(cell)}\n" + "\n".join(outputs.errors[0]["traceback"])
                )
            cell["execution_count"] = number
            cell["outputs"] = [kept(each) for each in outputs.list if each.get("name") != "stderr"]
    return notebook


def kept(output):
    """An output as a notebook's file has it, text as lines."""
    if "text" in output:
        return {**output, "text": output["text"].splitlines(keepends=True)}
    data = {kind: text.splitlines(keepends=True) for kind, text in sorted(output["data"].items())}
    return {**output, "data": data}


def write(path, notebook):
    """Write a notebook's file."""
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(names):
    """Execute notebooks, all if none is named, and keep their outputs."""
    for path in [EXAMPLES / f"{name}.ipynb" for name in names] or sorted(EXAMPLES.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as directory:
            write(path, execute(path, Path(directory)))
        sys.stdout.write(f"{path.name}: executed\n")


if __name__ == "__main__":
    main(sys.argv[1:])
