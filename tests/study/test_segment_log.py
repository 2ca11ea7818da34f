"""The log of segments by itself: what counted is never lost, whoever is killed, comes late or takes over."""

from __future__ import annotations

import pytest

from tests.study.simulated_store import World

QUICK = 25
THOUSANDS = 10


class TestKilledDrivers:
    """Seeds are in what a failure says."""

    @staticmethod
    def run(seeds, kills):
        ends = {"killed": 0, "taken over": 0, "closed": 0}
        for seed in seeds:
            try:
                for end, count in World(seed).run(kills).items():
                    ends[end] += count
            except BaseException as error:
                error.args = (f"seed {seed}", *error.args)
                raise
        return ends

    def test_what_counted_is_never_lost(self):
        ends = self.run(range(QUICK), 10)
        assert ends["killed"] == 10 * QUICK
        assert min(ends.values()) > 0

    @pytest.mark.slow
    @pytest.mark.parametrize("thousand", range(THOUSANDS))
    def test_a_thousand_kills(self, thousand):
        assert self.run(range(100 * thousand, 100 * thousand + 100), 10)["killed"] == 1000
