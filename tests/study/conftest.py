"""Journals, to read and to damage."""

from collections import Counter

import pytest

from sparkopt import fmin
from tests.study import journals
from tests.support.study_tools import CASE, in_order


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A directory with a journal that was closed and one that was not, and the truth of both."""
    directory = tmp_path_factory.mktemp("journals") / "written"
    return directory, journals.make(directory)


@pytest.fixture
def closed(written, tmp_path):
    """A copy of the journal that was closed, to damage, and its truth."""
    directory, truths = written
    return journals.copied(directory / "closed", tmp_path / "copy"), truths["closed"]


@pytest.fixture
def killed(written, tmp_path):
    """A copy of the journal whose driver was killed, to damage, and its truth."""
    directory, truths = written
    return journals.copied(directory / "killed", tmp_path / "copy"), truths["killed"]


@pytest.fixture
def journalled_search(new_trials, tmp_path):
    """Makes what searches with a journal at a place, whose every fifth trial fails.

    Its ``runs()`` says how often each value was evaluated, and its ``trials`` are those of the last search.
    """
    runs = tmp_path / "runs"
    runs.mkdir()
    where = str(runs)

    def objective(case):
        import os
        import tempfile

        os.close(tempfile.mkstemp(dir=where, prefix=f"{int(case)}-")[0])
        if case % 5 == 3:
            raise ValueError(f"case {case}")
        return {"status": "ok", "loss": case, "attachments": {"square": case * case}}

    def make(place):
        def run(evals, trials=None, algo=in_order, **more):
            run.trials = new_trials(parallelism=1, journal=place) if trials is None else trials
            fmin(objective, CASE, algo, evals, trials=run.trials, verbose=False, **more)
            return run.trials

        run.runs = lambda: Counter(int(path.name.split("-")[0]) for path in runs.iterdir())
        return run

    return make
