"""Whole searches on elastic pools and a virtual clock: executors come and go, and every trial settles once.

A run checks all rules after every event, that each trial settles as what its worker really said, and that one
is lost only if so many workers were lost while they ran it as it may lose, preempted ones apart.
"""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from sparkopt.core.states import Outcome
from tests.core.elastic_simulation import ElasticSetup, simulate_elastic
from tests.core.simulation import Result, assert_all_settled

SMALL = ElasticSetup(
    trials=300,
    limit=7,
    executors=3,
    cores=3,
    cancel=0.05,
    repeat=0.1,
    partition_every=4,
    operator_every=15,
    arrive_every=1,
    kill_every=8,
    idle=5,
)
LARGE = ElasticSetup(
    trials=10_000,
    limit=128,
    executors=32,
    cores=4,
    studies=3,
    cut_every=0.5,
    partition_every=2,
    death_every=10,
    kill_every=4,
    decommission_every=10,
    vanish_every=30,
    arrive_every=0.2,
    operator_every=20,
)
SEEDS = range(10)
SEEN = {
    "executors",
    "idle executors",
    "kills",
    "vanished",
    "decommissioned",
    "deaths",
    "cuts",
    "partitions",
    "twins",
    "tasks started again",
    "jobs that failed",
    "failed launches",
    "withdrawn",
    "idle",
    "released",
    "gave up",
    "sent again",
    "repeated outcomes",
    "stale outcomes",
    "operator",
    "interrupted and not lost",
}


@functools.cache
def small(seed: int) -> Result:
    return simulate_elastic(SMALL, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_pool_settles_every_trial_once_whatever_becomes_of_its_executors(seed):
    result = small(seed)
    assert_all_settled(result, SMALL.trials)
    assert result.most_leased == SMALL.limit
    assert result.seen["kills"] + result.seen["decommissioned"] >= 20


def test_the_small_pools_met_everything_that_may_happen():
    seen = sum((small(seed).seen for seed in SEEDS), Counter())
    assert {what for what in SEEN if seen[what] >= 2} == SEEN
    settled = sum((small(seed).settled for seed in SEEDS), Counter())
    assert set(settled) == set(Outcome)


def test_the_same_seed_tells_the_same_story():
    assert simulate_elastic(SMALL, seed=3).digest == small(3).digest
    assert len({small(seed).digest for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_ten_thousand_trials_on_128_workers_that_come_and_go_settle_once_each(seed):
    result = simulate_elastic(LARGE, seed)
    assert_all_settled(result, LARGE.trials)
    assert result.most_leased > 100
    assert result.seen["kills"] >= 50
    assert result.counts.lost_attempts >= 200
    assert {what for what in SEEN if result.seen[what]} == SEEN
    assert result.commands["LaunchGang"] >= 300


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(115, 415))
def test_many_more_small_pools(seed):
    assert_all_settled(simulate_elastic(SMALL, seed), SMALL.trials)
