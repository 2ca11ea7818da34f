"""Conformance of front ends: what a study asks of a proposer, and what it does with the answers."""

from __future__ import annotations

import signal
from contextlib import closing

import cloudpickle
import pytest

from sparkopt.coordinator import Points
from sparkopt.core.states import Outcome
from sparkopt.errors import BadRequestError, RefusedError, RequestFailedError, SparkoptError, WrongStateError
from sparkopt.hyperopt.documents import DrawnValues
from sparkopt.study.journal import Journal
from sparkopt.study.proposer import DONE, WAIT, Proposer, StopSearch
from tests.coordinator.rig import Rig, rigs
from tests.study.journals import IDENTITY
from tests.support import front_ends
from tests.support.front_ends import Asking, Watched, run, square

cloudpickle.register_pickle_by_value(front_ends)


@pytest.fixture
def pool(tmp_path):
    """A coordinator with one worker."""
    with rigs(tmp_path, Rig) as make:
        rig = make(limit=1)
        rig.work(0)
        yield rig


@pytest.fixture(params=["list", "random", "hyperopt"])
def new(request, spark):
    """Makes a front end's proposer, watched; whoever makes two gets two with the same draws."""
    if request.param == "hyperopt":
        make = front_ends.hyperopts(spark)
    else:
        make = {"list": front_ends.a_list, "random": front_ends.random_values}[request.param]

    def new(journal=None, **instead):
        return Watched(make(square, journal), **instead)

    return new


def outcomes(proposer):
    return [proposer.records[tid].outcome for tid in sorted(proposer.records)]


def check_ends(proposer):
    """Each trial that was proposed, and not withdrawn, has ended once."""
    ended = [tid for call, tid in proposer.notes if call == "finish"]
    withdrawn = {tid for call, tid in proposer.notes if call == "withdraw"}
    assert sorted(ended) == sorted(proposer.values.keys() - withdrawn)
    assert all(record.outcome is not None and record.is_final for record in proposer.records.values())


def test_a_trials_way(pool, new):
    proposer = new()
    study = run(pool, proposer, trials=3)
    assert [tid for call, tid in proposer.notes if call == "started"] == [0, 1, 2]
    assert proposer.notes == [(call, tid) for tid in range(3) for call in ("started", "finish", "settled")]
    check_ends(proposer)
    for tid, record in proposer.records.items():
        assert (record.outcome, record.status, record.attempt) == (Outcome.OK, "success", 1)
        assert record.loss == proposer.values[tid] ** 2
        assert dict(record.metrics)["loss"] == record.loss
        assert record.started <= record.settled
    assert study.stop_reason is None
    assert (study.failures.count, study.timings.suggested) == (0, 3)


def test_draws_are_the_same_each_time(pool, new):
    first, second = new(), new()
    run(pool, first, trials=4)
    run(pool, second, trials=4)
    assert first.values == second.values
    assert len(set(first.values.values())) == 4


@pytest.mark.parametrize("answer", [DONE, []], ids=["DONE", "nothing"])
def test_a_proposer_that_is_done(pool, new, answer):
    left = [2]

    def propose(inner, count):
        left[0] -= 1
        return inner(count) if left[0] >= 0 else answer

    proposer = new(propose=propose)
    study = run(pool, proposer)
    assert outcomes(proposer) == [Outcome.OK] * 2
    assert study.stop_reason is None


def test_a_proposer_that_waits_for_a_trial(pool, new):
    proposer = new()

    def propose(inner, count):
        out = len(proposer.values) - len(proposer.records)
        return WAIT if out else inner(1)

    proposer.instead["propose"] = propose
    run(pool, proposer, trials=3, ahead=3)
    assert proposer.notes == [(call, tid) for tid in range(3) for call in ("started", "finish", "settled")]


def test_a_proposer_that_waits_for_nothing(pool, new):
    proposer = new(propose=lambda inner, count: WAIT)
    with pytest.raises(SparkoptError, match=r"the proposer waits .* nothing else can wake the study"):
        run(pool, proposer, trials=3)


def asking(channel, points, answers):
    channel.put_points(Points(points, answers.append))


def test_points_from_outside_wake_a_proposer_that_waits(pool, new):
    answers = []
    proposer = new(propose=lambda inner, count: WAIT)

    def settled(inner, record, replayed):
        inner(record, replayed)
        return StopSearch("that was all")

    proposer.instead["settled"] = settled
    study = run(
        pool,
        proposer,
        may_idle=True,
        prepare=lambda channel: asking(channel, [{"x": 0.5}], answers),
    )
    assert answers == [[0]]
    assert proposer.records[0].loss == 0.25
    assert study.stop_reason == "that was all"


def test_points_from_outside_come_beside_the_budget(pool, new):
    answers = []

    def prepare(channel):
        asking(channel, [{"x": 0.25}, {"x": 0.5}], answers)
        asking(channel, [{"y": 0.5}], answers)

    proposer = new()
    run(pool, proposer, trials=2, prepare=prepare)
    tids, refused = answers
    assert isinstance(refused, BadRequestError)
    assert [proposer.values[tid] for tid in tids] == [0.25, 0.5]
    assert outcomes(proposer) == [Outcome.OK] * 4
    check_ends(proposer)


def test_a_front_end_that_takes_no_points(pool):
    class Plain(Proposer):
        def propose(self, count):
            return front_ends.ListProposer([{"x": 0.5}]).propose(count)

    answers = []
    run(pool, Plain(), trials=1, prepare=lambda channel: asking(channel, [{"x": 1}], answers))
    (refused,) = answers
    assert isinstance(refused, WrongStateError)


@pytest.mark.parametrize("finish_running", [False, True])
def test_a_stop_with_a_reason(pool, new, finish_running):
    def settled(inner, record, replayed):
        inner(record, replayed)
        return StopSearch("enough", finish_running) if record.tid == 1 else None

    heard = []
    proposer = new(settled=settled, cancelling=lambda inner: (inner(), heard.append(True)))
    study = run(pool, proposer, trials=10, ahead=3)
    assert study.stop_reason == "enough"
    assert heard == ([] if finish_running else [True])
    check_ends(proposer)
    done = outcomes(proposer)
    assert done[:2] == [Outcome.OK] * 2
    assert len(done) < 10
    if finish_running:
        assert set(done) == {Outcome.OK}
    else:
        assert set(done[2:]) <= {Outcome.OK, Outcome.CANCELLED}
        assert done[-1] is Outcome.CANCELLED
        assert proposer.records[len(done) - 1].error.text == "enough"


@pytest.mark.parametrize("call", ["propose", "finish", "settled", "started"])
def test_an_error_out_of_a_call(pool, new, call):
    calls = []

    def failing(inner, *given):
        calls.append(given)
        if len(calls) == 2:
            raise ZeroDivisionError("mine")
        return inner(*given)

    proposer = new(**{call: failing})
    with pytest.raises(ZeroDivisionError, match="mine") as raised:
        run(pool, proposer, trials=5, ahead=2)
    assert raised.value.study.stop_reason is None
    assert all(record.is_final for record in proposer.records.values())
    assert proposer.records.keys() == proposer.values.keys()


def test_an_argument_that_cannot_be_made_costs_its_trial(pool, new):
    def argument(inner, proposal):
        if proposal.tid == 1:
            raise ValueError("no such option")
        return inner(proposal)

    proposer = new(argument=argument)
    study = run(pool, proposer, trials=3)
    check_ends(proposer)
    failed = proposer.records[1]
    assert (failed.outcome, failed.status, failed.started) == (Outcome.FAILED, "failure", None)
    assert failed.error.kind == "<class 'ValueError'>"
    assert "no such option" in failed.error.text
    assert outcomes(proposer) == [Outcome.OK, Outcome.FAILED, Outcome.OK]
    assert (study.failures.count, study.first_failure.text) == (1, failed.error.text)
    assert ("settled", 1) in proposer.notes


def test_an_objective_that_raises_or_returns_nothing_costs_its_trial(pool, new):
    def objective(argument):
        if argument["raises"] == 0:
            raise OverflowError("too far")
        return None if argument["raises"] == 1 else 0.5

    def argument(inner, proposal):
        return cloudpickle.dumps({"raises": proposal.tid})

    proposer = new(argument=argument)
    study = run(pool, proposer, objective, trials=3)
    raised, nothing, fine = (proposer.records[tid] for tid in range(3))
    assert (raised.outcome, raised.error.kind) == (Outcome.FAILED, "<class 'OverflowError'>")
    assert "too far" in raised.error.text
    assert (nothing.outcome, nothing.status, nothing.has_result) == (Outcome.OK, "failure", False)
    assert "returned None" in nothing.error.text
    assert (fine.status, fine.loss) == ("success", 0.5)
    assert study.failures.count == 2


def test_a_study_that_is_stopped_while_it_is_proposed_for(pool, new):
    channels = []

    def propose(inner, count):
        proposals = inner(count)
        channels[0].put_stop(True)
        return proposals

    proposer = new(propose=propose)
    study = run(pool, proposer, trials=3, prepare=channels.append)
    assert proposer.notes == [("withdraw", 0)]
    assert study.stop_reason == study.spec.reasons.user


def test_a_deadline_cancels_what_runs(pool, new):
    proposer = new()
    study = run(pool, proposer, trials=3, deadline=0.0)
    assert proposer.values == {}
    assert study.stop_reason == study.spec.reasons.timeout


@pytest.mark.parametrize(
    ("propose", "said"),
    [
        (lambda inner, count: [*inner(count), *inner(count)], "was asked for 1 trials and returned 2"),
        (lambda inner, count: inner(count) * 1, None),
    ],
    ids=["too many", "as many as asked"],
)
def test_as_many_as_were_asked_for(pool, new, propose, said):
    proposer = new(propose=propose)
    if said is None:
        run(pool, proposer, trials=2)
        return
    with pytest.raises(RefusedError, match=said):
        run(pool, proposer, trials=2)


def test_two_trials_of_one_number_are_refused(pool, new):
    first = []

    def propose(inner, count):
        first.append(inner(count))
        return first[0]

    proposer = new(propose=propose)
    with pytest.raises(RefusedError, match="gives the number 0 to a second trial"):
        run(pool, proposer, trials=2)
    assert [note for note in proposer.notes if note[0] in ("finish", "withdraw")] == [
        ("finish", 0),
        ("withdraw", 0),
    ]
    assert outcomes(proposer) == [Outcome.OK]


# A journal.


def test_a_study_goes_on_where_it_ended(pool, new, tmp_path):
    path = tmp_path / "journal"
    whole = new()
    run(pool, whole, trials=6)

    def settled(inner, record, replayed):
        inner(record, replayed)
        return StopSearch("for now") if record.tid == 2 and not replayed else None

    held = whole.values[3]

    def never_ends(argument):
        if argument["x"] == held:
            signal.pause()
        return square(argument)

    there = set()
    while len(there) < 6:
        with closing(Journal(path)) as journal:
            journal.check(IDENTITY)
            proposer = new(path, settled=settled)
            # More than one at once, so that some are proposed that do not settle.
            objective = square if there else never_ends
            study = run(pool, proposer, objective, journal, workers=2, trials=6 - len(there))
        if not there:
            assert study.stop_reason == "for now"
            done = {tid for tid, record in proposer.records.items() if record.outcome is Outcome.OK}
            assert {0, 1, 2} == done < proposer.records.keys()
        there |= proposer.records.keys()
    assert {*proposer.replayed} == done
    assert proposer.values == whole.values
    check_ends(proposer)
    assert {tid: record.loss for tid, record in proposer.records.items()} == {
        tid: record.loss for tid, record in whole.records.items()
    }


def test_what_had_failed_has_failed_again(pool, new, tmp_path):
    def objective(argument):
        raise ValueError("too far")

    firsts = []
    for trials in (1, 0):
        with closing(Journal(tmp_path / "journal")) as journal:
            journal.check(IDENTITY)
            proposer = new(tmp_path / "journal")
            study = run(pool, proposer, objective, journal=journal, trials=trials)
        record = proposer.records[0]
        firsts.append(
            (record.outcome, record.error, study.failures.count, record.started, study.first_failure.text)
        )
    assert firsts[0][:4] == firsts[1][:4]
    assert firsts[0][4] == firsts[1][4]
    assert proposer.replayed == [0]


def test_values_of_a_document_are_those_that_are_active():
    values = DrawnValues({"x": [0.5], "inactive": [], "kind": (2,)})
    assert dict(values) == {"x": 0.5, "kind": 2}
    assert (len(values), "inactive" in values, "unknown" in values) == (2, False, False)
    assert repr(values) == repr({"x": 0.5, "kind": 2})
    assert values == {"x": 0.5, "kind": 2}


# What a running trial asks.


def test_what_a_running_trial_asks(pool, new):
    def serve(inner, request, reply):
        reply(request.method.encode() + request.body)

    proposer = new(serve=serve)
    run(pool, proposer, Asking(), trials=2)
    assert [record.loss for record in proposer.records.values()] == [len("echo12345")] * 2


def test_a_front_end_that_answers_nothing_refuses(pool, new):
    proposer = new()
    run(pool, proposer, Asking(), trials=1)
    (record,) = proposer.records.values()
    assert record.outcome is Outcome.FAILED
    assert record.error.kind == f"<class '{RequestFailedError.__module__}.{RequestFailedError.__name__}'>"
    assert "does not know what 'echo' is" in record.error.text
