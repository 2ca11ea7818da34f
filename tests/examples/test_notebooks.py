"""The notebooks of examples/ run in a real kernel, and what is committed of them is small and complete."""

from __future__ import annotations

import json
import re

import psutil
import pytest

from tests.docs.links import LINK, anchors
from tests.support.leftovers import MARK, processes_of
from tests.support.notebooks import EXAMPLES, execute, source_of
from tests.support.paths import ROOT

NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MOST_BYTES = 60_000
LIBRARIES = {"gradient_boosting": "lightgbm"}
"""Libraries that a notebook needs; where one is missing, the notebook is not run."""

PATH = re.compile(r"(?<![\w.~<:/-])/(?:tmp|root|work|home|Users|usr|var|opt)/")

OF_FMIN = ("SparkTrials: ", " trials in ")
"""Words that the cells of a search show: of its trials, and of the line that it leaves."""

MARKS = {"optuna": ("<th>metrics.value</th>", "FINISHED")}
"""Words that notebooks of other front ends show."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_a_notebook_is_committed_with_its_outputs(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) <= MOST_BYTES
    assert PATH.search(text) is None
    notebook = json.loads(text)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert {output.get("name") for output in outputs} <= {None, "stdout"}
    shown = "".join("".join(output.get("data", {}).get("text/html", [])) for output in outputs)
    for mark in MARKS.get(path.stem, OF_FMIN):
        assert mark in shown


@each_notebook
def test_a_notebook_is_linked_and_its_links_lead_somewhere(path):
    assert f"(examples/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    prose = [source_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    for file, anchor in LINK.findall("\n".join(prose)):
        there = (path.parent / file).resolve()
        assert there.exists(), file
        assert not anchor or anchor in anchors(there), f"{file}#{anchor}"


@pytest.mark.slow
@pytest.mark.timeout(900)
@each_notebook
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    if path.stem in LIBRARIES:
        pytest.importorskip(LIBRARIES[path.stem], exc_type=ImportError)
    monkeypatch.setenv(MARK, str(tmp_path))
    executed = execute(path, tmp_path)
    committed = json.loads(path.read_text(encoding="utf-8"))

    def kinds(notebook):
        cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        return [[sorted(output.get("data", {"text": ""})) for output in cell["outputs"]] for cell in cells]

    assert kinds(executed) == kinds(committed)
    _, alive = psutil.wait_procs(processes_of(str(tmp_path)), timeout=60)
    assert alive == []
