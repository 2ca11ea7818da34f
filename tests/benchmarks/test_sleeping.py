"""Searches of trials that sleep: what a trial is like, when a search is over, and what is made of it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.learning_curves import KINDS, load
from benchmarks.peers import PEERS
from benchmarks.record import Record
from benchmarks.sleeping.contenders import CONTENDERS, PARALLEL, PEERS_HERE, PRUNED
from benchmarks.sleeping.lookup import TableLookup
from benchmarks.sleeping.objective import Sleeping
from benchmarks.sleeping.recorded import recorded
from benchmarks.sleeping.task import Came, Task, came_of
from benchmarks.sleeping.threshold import serial_bests
from benchmarks.time_to_loss import time_to_loss


def a_curve(point):
    """Three losses, of which the last is the value of the point, and no time."""
    return (9.0, 5.0, point["x"]), 0.0


def an_objective(place, threshold=1.0, seconds_left=60.0):
    return Sleeping(a_curve, str(place), threshold, time.time() + seconds_left, 1.0)


def test_a_row_of_a_table_is_found_by_the_places_of_its_values(tmp_path):
    rows = [(10 * first + second, first / 10) for first in range(2) for second in range(3)]
    np.save(tmp_path / "rows.npy", rows)
    lookup = TableLookup(str(tmp_path / "rows.npy"), {"first": 2, "second": 3})
    for first in range(2):
        for second in range(3):
            assert lookup({"second": second, "first": first}) == ((10 * first + second,), first / 10)


@pytest.mark.parametrize("name", KINDS)
def test_the_curve_of_a_recorded_point_is_its_own(tmp_path, name):
    objective, curves = recorded(name, tmp_path), load(name)
    assert objective.steps == curves.steps
    for (point, _), losses in list(zip(KINDS[name].recorded(name), curves.losses, strict=True))[:20]:
        found, took = objective.lookup(point)
        assert found == pytest.approx(losses, rel=1e-4)
        assert took == 1.0


def test_between_recorded_points_a_curve_is_between_theirs(tmp_path):
    objective, curves = recorded("digits", tmp_path), np.array(load("digits").losses)
    rng = np.random.default_rng(0)
    for _ in range(20):
        found, _ = objective.lookup(objective.space.drawn(rng))
        assert (curves.min(axis=0) <= found).all()
        assert (found <= curves.max(axis=0)).all()


def test_a_trial_notes_when_it_ended_and_its_loss(tmp_path):
    objective = an_objective(tmp_path)
    before = time.time()
    assert objective({"x": 3.0}) == 3.0
    ((when, loss),) = objective.notes()
    assert before <= when <= time.time()
    assert loss == 3.0
    assert not objective.over


def test_a_loss_that_is_small_enough_ends_all_other_trials(tmp_path):
    objective = an_objective(tmp_path)
    assert objective({"x": 1.0}) == 1.0
    assert objective.over
    assert objective.run({"x": 0.5}) is None
    assert objective({"x": 0.5}) == {"status": "fail"}
    assert [loss for _, loss in objective.notes()] == [1.0]


def test_a_search_whose_time_is_up_is_over(tmp_path):
    objective = an_objective(tmp_path, seconds_left=-1.0)
    assert objective.run({"x": 3.0}) is None
    assert objective.notes() == []


def test_a_trial_reports_each_step_and_may_be_stopped_there(tmp_path):
    reported = []

    def report(loss, step):
        reported.append((loss, step))
        if step == 2:
            raise KeyError(step)

    objective = an_objective(tmp_path)
    with pytest.raises(KeyError):
        objective.run({"x": 0.0}, report)
    assert reported == [(9.0, 1), (5.0, 2)]
    assert objective.notes() == []
    assert not objective.over


@pytest.mark.parametrize(
    ("notes", "came"),
    [
        ([(103.0, 7.0), (105.5, 2.0), (106.0, 1.0)], Came(5.5, True, 2)),
        ([(103.0, 7.0), (108.0, 3.0)], Came(10.0, False, 2)),
        ([(103.0, 7.0), (110.5, 1.0)], Came(10.0, False, 1)),
        ([], Came(10.0, False, 0)),
    ],
)
def test_what_trials_have_noted_says_how_long_a_search_took(tmp_path, notes, came):
    task = Task(recorded("digits", tmp_path), 2.0, 1.0, 10.0, 2, 0, None)
    assert came_of(notes, 100.0, task) == came


def test_the_loss_to_be_reached_is_that_of_seeded_searches(tmp_path):
    objective = recorded("digits", tmp_path)
    bests = serial_bests(objective, 25, 2)
    assert bests == serial_bests(objective, 25, 2)
    assert bests[0] != bests[1]
    assert min(losses[-1] for losses in load("digits").losses) <= min(bests)


def test_contenders_belong_to_peers():
    assert set(PEERS) >= PEERS_HERE
    assert {name for name, each in CONTENDERS.items() if each.peer is None} >= {PARALLEL, PRUNED}


def a_record(taken, **options):
    settings = {"parallelism": 8, "rounds": 2, "seconds": 1.0, "patience": 60.0, **options}
    reached = {name: [value < 60 for value in values] for name, values in taken.items()}
    found = {"seconds": taken, "reached": reached, "trials": {name: [40, 50] for name in taken}}
    figures = {"objectives": {"digits": {"threshold": 0.1, "serial": [0.1], **found}}, "absent": {}}
    limits = time_to_loss.form.limits(settings, figures)
    return Record("time-to-loss", settings, figures, limits=limits)


SECONDS = {
    PARALLEL: [9.0, 9.0],
    PRUNED: [4.0, 6.0],
    "sparktrials": [60.0, 60.0],
    "sparktrials-queued": [12.0, 15.0],
}


def test_others_are_compared_with_the_pruned_search_round_by_round():
    record = a_record(SECONDS)
    values = {limit.what: (limit.value, limit.met) for limit in record.limits}
    assert values == {
        "digits, the quickest peer, times sparkopt": (2.75, True),
        "SparkTrials, max_queue_len 1, trials of a second, times sparkopt": (12.5, True),
        "SparkTrials, max_queue_len = parallelism, trials of a second, times sparkopt": (2.75, False),
    }
    (of_digits, of_all) = time_to_loss.form.tables(record)
    assert of_digits.rows[2][:4] == ("SparkTrials, max_queue_len 1", "60.0 (60.0 to 60.0)", "0 of 2", "45")
    assert dict(of_all.rows)["SparkTrials, max_queue_len = parallelism"] == "2.75 (2.50 to 3.00)"


def test_the_limit_for_trials_of_a_second_is_for_such_trials_only():
    met = {limit.what: limit.met for limit in a_record(SECONDS, seconds=0.2).limits}
    assert [met[what] for what in met if "of a second" in what] == [None, None]


def test_a_question_is_asked_with_underscores_as_well():
    for name in ("time_to_loss", "time-to-loss"):
        assert "sparktrials-queued" in CliRunner().invoke(main, [name, "--help"]).output


def test_a_search_that_does_not_get_there_meets_no_limit():
    record = a_record({**SECONDS, PRUNED: [60.0, 60.0]})
    assert [(limit.value, limit.met) for limit in record.limits] == [(0, False)] * 3
