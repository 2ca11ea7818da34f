"""Figures of a search: what is on them."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")

from sparkopt import plots
from sparkopt.errors import RefusedError
from sparkopt.plots.searches import DescribedSearch, Goal
from sparkopt.study.trial_description import Dimension, TrialDescription

SPACE = [
    Dimension("lr", "float", 1e-4, 1, logarithmic=True),
    Dimension("layers", "int", 1, 9, 1),
    Dimension("model", "choice", options=("svm", None, "$tree$ with a very long name")),
    Dimension("depth", "int", 2, 8, 1),
    Dimension("unused", "float", 0, 1),
]


def trial(tid, state="ok", loss=None, **more):
    option = SPACE[2].options[tid % 3]
    params = {"lr": 10.0 ** -(tid % 5), "layers": 1 + tid % 9, "model": option}
    params |= {"depth": 2 + tid % 7} if option is None else {}
    known = {"started": 100.0 + tid, "settled": 101.0 + tid, "worker": f"worker-{tid % 3}"}
    values = None if loss is None else [loss]
    return TrialDescription(tid, state, params, values, **{**known, **more})


SEARCH = DescribedSearch(
    [
        *(trial(tid, loss=abs(tid - 7.5)) for tid in range(15)),
        trial(15, "pruned", 30.0),
        trial(16, "pruned"),
        trial(17, "failed", settled=104.0, error="no"),
        trial(18, "ok", float("inf")),
        trial(19, "running", settled=None),
        trial(20, "pending", worker="", started=None, settled=None),
    ],
    SPACE,
)
NOTHING = DescribedSearch([])


def is_png(data):
    width, height = struct.unpack(">II", data[16:24])
    return data[:8] == b"\x89PNG\r\n\x1a\n" and width > 100 and height > 100


@pytest.mark.parametrize("name", [name for name in plots.__all__ if name != "importances"])
@pytest.mark.parametrize("search", [SEARCH, NOTHING], ids=["search", "nothing"])
def test_every_figure_is_shown_by_notebooks(name, search):
    figure = getattr(plots, name)(search)
    assert is_png(figure._repr_png_())


def test_history_shows_losses_the_best_so_far_and_pruned_trials():
    losses, best, pruned = plots.history(SEARCH).axes[0].lines
    assert [*losses.get_ydata()] == [abs(tid - 7.5) for tid in range(15)]
    assert [*best.get_ydata()] == [min(abs(each - 7.5) for each in range(tid + 1)) for tid in range(15)]
    assert ([*pruned.get_xdata()], [*pruned.get_ydata()]) == ([15], [30.0])


def test_a_goal_has_its_name_and_its_best_trials():
    upwards = DescribedSearch(SEARCH.trials[:15], SPACE, Goal("accuracy", maximizes=True))
    (axes,) = plots.history(upwards).axes
    assert axes.get_ylabel() == "accuracy"
    assert [*axes.lines[1].get_ydata()] == [7.5] * 15
    (axes,) = plots.parallel_coordinates(upwards).axes
    assert axes.get_title() == "accuracy from 7.5 (dark) to 0.5"


def test_slices_have_the_axes_of_the_distributions():
    lr, layers, model, depth = plots.slices(SEARCH).axes
    assert [axes.get_title() for axes in (lr, layers, model, depth)] == ["lr", "layers", "model", "depth"]
    assert (lr.get_xscale(), layers.get_xscale()) == ("log", "linear")
    assert [label.get_text() for label in model.get_xticklabels()] == ["svm", "None", "$tree$ with a ver…"]
    assert [*model.lines[0].get_xdata()] == [tid % 3 for tid in range(15)]
    assert len(depth.lines[0].get_xdata()) == 5
    assert [axes.get_title() for axes in plots.slices(SEARCH, ["depth"]).axes] == ["depth"]
    with pytest.raises(RefusedError, match="no hyperparameters \\['no'\\]"):
        plots.slices(SEARCH, ["no"])


def test_parallel_coordinates_have_a_line_for_each_trial_with_a_loss():
    (axes,) = plots.parallel_coordinates(SEARCH, ["lr", "layers"]).axes
    (lines,) = axes.collections
    assert len(lines.get_segments()) == 15
    ends = {tuple(round(float(height), 3) for _, height in line) for line in lines.get_segments()}
    assert (1.0, 0.0) in ends  # a rate of 1, and one layer
    assert (0.0, 0.5) in ends  # a rate of 0.0001, and five layers
    (axes,) = plots.parallel_coordinates(SEARCH).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["lr", "layers", "model", "depth"]
    assert len(axes.collections[0].get_segments()) == 2 * 15 + 5


def test_importances_are_optunas():
    pytest.importorskip("optuna")
    (axes,) = plots.importances(SEARCH).axes
    names = {label.get_text() for label in axes.get_yticklabels()}
    assert names == {"lr", "layers", "model"}
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(1)
    with pytest.raises(RefusedError, match="at least 2 trials"):
        plots.importances(NOTHING)


def test_the_timeline_has_a_row_for_each_worker():
    (axes,) = plots.timeline(SEARCH).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["worker-0", "worker-1", "worker-2"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "ok",
        "pruned",
        "failed",
        "running",
    ]
    first = min(axes.patches, key=lambda bar: bar.get_x())
    assert (first.get_x(), first.get_width()) == (0.0, 1.0)


def test_matplotlib_and_optuna_are_loaded_when_they_are_used():
    script = (
        "import sys, sparkopt; sparkopt.plots; assert 'matplotlib' not in sys.modules;"
        "sparkopt.plots.history; assert 'matplotlib.pyplot' not in sys.modules;"
        "assert 'optuna' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_errors_say_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sparkopt\[plots\]'"):
        plots.importances(SEARCH)
    monkeypatch.delitem(plots.__dict__, "history", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sparkopt\[plots\]'"):
        _ = plots.history
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = plots.no_such_name
