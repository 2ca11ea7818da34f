"""Journals of both kinds describe the space of their search; earlier ones get that when a search goes on."""

from __future__ import annotations

import math
import warnings
from contextlib import closing

import pytest

from sparkopt.study.journal import dimensions_to_text, open_journal
from sparkopt.study.journal.contents import copy, look
from sparkopt.study.journal.described_dimensions import dimensions_of_text
from sparkopt.study.trial_description import Dimension
from tests.study import journals

DIMENSIONS = [
    Dimension("x", "float", 0.0, 1.0),
    Dimension("rate", "float", 1e-5, 1.0, logarithmic=True),
    Dimension("n", "int", 0, 9, 1),
    Dimension("unbounded", "float", -math.inf, math.inf, 0.5),
    Dimension("kind", "choice", options=(None, 1, 1.5, True, "text \ud800 of any kind")),
]
TEXT = dimensions_to_text(DIMENSIONS)


@pytest.fixture(params=["file", "directory"])
def place(request, tmp_path):
    """A place for a journal of each kind."""
    path = tmp_path / "journal"
    if request.param == "directory":
        path.mkdir()
    return path


def written(place, truth, tids, text=""):
    blobs = place.parent / "blobs"
    blobs.mkdir(exist_ok=True)
    with closing(open_journal(place)) as journal:
        journal.check(journals.IDENTITY, text)
        journals.write(journal, truth, tids, blobs)
        journal.until_kept()


def test_a_text_holds_every_kind_of_dimension():
    assert dimensions_of_text(TEXT) == DIMENSIONS
    assert [type(each) for each in dimensions_of_text(TEXT)[-1].options] == [
        type(None),
        int,
        float,
        bool,
        str,
    ]


@pytest.mark.parametrize(
    "text", [None, "", "no JSON", "3", "[3]", '[{"label": "x"}]', '[{"of": "a newer one"}]']
)
def test_a_text_that_this_version_cannot_read_describes_nothing(text):
    assert dimensions_of_text(text) == []


def test_a_journal_has_them_and_keeps_them(place):
    truth = journals.Truth()
    written(place, truth, range(5), TEXT)
    assert look(place).dimensions() == DIMENSIONS
    for text in ("", TEXT):  # an earlier version, which does not write them, may go on from it
        first = len(truth.entries)
        written(place, truth, range(first, first + 5), text)
        assert look(place).dimensions() == DIMENSIONS
    assert journals.compare(place, truth, False) == "whole"


def test_a_journal_without_them_gets_them_when_a_search_goes_on(place):
    truth = journals.Truth()
    written(place, truth, range(5))
    assert look(place).dimensions() == []
    written(place, truth, range(5, 10), TEXT)
    assert look(place).dimensions() == DIMENSIONS
    assert journals.compare(place, truth, False) == "whole"


def test_a_journal_whose_driver_was_killed_and_one_that_was_damaged_have_them(tmp_path):
    place, truth = tmp_path / "journal", journals.Truth()
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    with closing(open_journal(place)) as journal:
        journal.check(journals.IDENTITY, TEXT)
        journals.write(journal, truth, range(20), blobs)
        killed = journals.copied(place, tmp_path / "killed")
    assert look(killed).dimensions() == DIMENSIONS
    data = bytearray(place.read_bytes())
    data[-100:] = bytes(100)  # among the trials
    place.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written(place, journals.Truth(), range(100, 103), TEXT)
    assert look(place).damage == []
    assert look(place).dimensions() == DIMENSIONS


@pytest.mark.parametrize("kinds", [("file", "directory"), ("directory", "file"), ("file", "file")])
def test_a_copy_has_them_and_can_be_gone_on_from(tmp_path, kinds):
    source, target = (tmp_path / f"{number}-{kind}" for number, kind in enumerate(kinds))
    for path, kind in zip((source, target), kinds, strict=True):
        if kind == "directory":
            path.mkdir()
    truth = journals.Truth()
    written(source, truth, range(5), TEXT)
    copy(source, target)
    assert look(target).dimensions() == DIMENSIONS
    written(target, truth, range(5, 10), TEXT)
    assert (look(target).dimensions(), look(target).damage) == (DIMENSIONS, [])
    assert journals.compare(target, truth, False) == "whole"
