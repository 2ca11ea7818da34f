"""Whole searches on a virtual clock, with every fault that simulation.py knows: none lost, none twice.

What a run checks while it goes on is in simulation.py: the seven rules, the limit, and that each trial
settles as what its worker really said, or what somebody really asked for.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections import Counter

import pytest

from sparkopt.core.states import Outcome
from tests.core.simulation import Result, Setup, assert_all_settled, simulate
from tests.support.paths import ROOT

SMALL = Setup(
    trials=300,
    gangs=2,
    gang_size=4,
    limit=7,
    cancel=0.05,
    repeat=0.1,
    partition_every=10,
    gang_end_every=30,
    operator_every=15,
)
LARGE = Setup(
    trials=10_000,
    gangs=8,
    gang_size=16,
    limit=112,
    studies=3,
    cut_every=0.5,
    partition_every=2,
    death_every=10,
    gang_end_every=25,
    operator_every=20,
    thorough_every=25,
)
SEEDS = range(20)
FAULTS = {
    "cuts",
    "partitions",
    "deaths",
    "gangs that ended",
    "failed launches",
    "left over",
    "gave up",
    "sent again",
    "repeated outcomes",
    "stale outcomes",
    "operator",
    "released",
    "small relaunches",
    "interrupted and not lost",
    "results that beat a verdict",
    "lost after a verdict",
}


@functools.cache
def small(seed: int) -> Result:
    return simulate(SMALL, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_pool_settles_every_trial_once(seed):
    result = small(seed)
    assert_all_settled(result, SMALL.trials)
    assert result.most_leased == SMALL.limit


def test_the_small_pools_met_every_fault_and_every_end():
    seen = sum((small(seed).seen for seed in SEEDS), Counter())
    assert {fault for fault in FAULTS if seen[fault] >= 5} == FAULTS
    settled = sum((small(seed).settled for seed in SEEDS), Counter())
    assert {outcome for outcome in Outcome if settled[outcome] >= 5} == set(Outcome)


def test_ten_thousand_trials_on_128_workers_settle_once_each():
    result = simulate(LARGE, seed=3)
    assert_all_settled(result, LARGE.trials)
    assert result.most_leased == LARGE.limit
    assert {fault for fault in FAULTS if result.seen[fault] >= 2} == FAULTS
    assert set(result.settled) == set(Outcome)
    assert result.commands["LaunchGang"] >= 5
    assert result.counts.lost_attempts >= 50


def test_the_same_seed_tells_the_same_story():
    assert simulate(SMALL, seed=3).digest == small(3).digest


def test_another_seed_tells_another_story():
    assert len({small(seed).digest for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_story_does_not_depend_on_how_python_hashes(hash_seed):
    script = "from tests.core import test_simulation as t; print(t.simulate(t.SMALL, seed=3).digest)"
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.strip() == small(3).digest
