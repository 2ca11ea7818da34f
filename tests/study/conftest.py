"""Journals, to read and to damage."""

import pytest

from tests.study import journals


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
