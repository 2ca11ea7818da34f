"""Names and texts for MLflow: MLflow accepts them, and two names of a user's never become one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

from sparkopt.tracking.names import Names, cleaned, storable

texts = st.text(st.sampled_from("aAbß._-: /\\\n\0é#~ \ud800") | st.characters(), max_size=300)


def check_taken(name):
    _validate_metric(name, 1.0, 0, 0)
    _validate_param(name, "1")
    _validate_tag(name, "1")
    assert name == name.strip()
    assert 0 < len(name) <= 250
    name.encode()


@given(texts)
def test_mlflow_takes_every_name(name):
    check_taken(cleaned(name))


@given(st.lists(texts, unique=True, max_size=20))
def test_no_two_names_become_one_however_a_store_compares_them(names):
    known = Names(ours=["seconds"])
    made = [known.name_of(name) for name in names]
    for name in made:
        check_taken(name)
    assert len({name.casefold() for name in made} | {"seconds"}) == len(names) + 1
    assert [known.name_of(name) for name in names] == made


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", "loss"),
        ("train/loss v1.0 µ-x", "train/loss v1.0 µ-x"),
        ("odd @name", "odd _name"),
        ("a//b", "a/b"),
        ("/abs", "abs"),
        ("./rel", "rel"),
        ("a/../b", "a/__/b"),
        ("..", "__"),
        ("../x", "__/x"),
        ("..x", "__x"),
        ("", "_"),
        (".", "_"),
        ("trailing  ", "trailing"),
        ("a/ /", "a"),
        ("tab\there", "tab_here"),
        ("x" * 300, "x" * 250),
    ],
)
def test_a_name_stays_as_it_is_as_far_as_may_be(name, expected):
    assert cleaned(name) == expected


def test_a_colon_stays_where_mlflow_takes_it():
    try:
        check_taken("a: b")
    except MlflowException:
        assert cleaned("a: b") == "a_ b"
    else:
        assert cleaned("a: b") == "a: b"


def test_who_comes_second_gets_a_digest():
    known = Names()
    assert known.name_of("a?") == "a_"
    second = known.name_of("a!")
    assert second != "a_"
    assert second.startswith("a__")
    assert known.name_of("A_") != "A_"
    assert len({known.name_of("y" * 251), known.name_of("y" * 252)}) == 2


def test_names_of_ours_are_found_under_another():
    known = Names(ours=["seconds"])
    assert known.name_of("seconds") == "result.seconds"
    assert known.name_of("result.seconds").startswith("result.seconds_")


def test_names_without_end_are_still_told_apart(monkeypatch):
    monkeypatch.setattr("sparkopt.tracking.names._MOST", 1)
    known = Names()
    known.name_of("first")
    assert known.name_of("second") == "second"
    assert known.name_of("a?") != known.name_of("a!")
    assert known.name_of("a?") == known.name_of("a?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("ünusual", "ünusual"),
        ("a\0b", "a\\0b"),
        ("a\ud800", "a\\ud800"),
        ("x" * 9000, "x" * 5000),
    ],
)
def test_texts(text, expected):
    assert storable(text) == expected
