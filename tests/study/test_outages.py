"""Searches whose journal's S3 is gone for a whole minute: they go on meanwhile, and catch up."""

from __future__ import annotations

import re
import threading
import time

import pytest

from sparkopt import fmin
from tests.study.test_s3_journals import settled
from tests.support.object_storage import object_storage
from tests.support.proxy import Proxy, Way
from tests.support.study_tools import CASE, in_order

MINUTE = 60.0


@pytest.fixture
def s3():
    """Addresses behind a line that can be cut."""
    pytest.importorskip("moto")
    with object_storage() as address:
        direct = address("mine")
        (server,) = re.findall(r"endpoint_override=([0-9.:]+)", direct)
        proxy = Proxy(server)
        try:
            yield direct.replace(server, proxy.address), direct, proxy
        finally:
            proxy.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["refuses", "says nothing"])
def test_a_minute(new_trials, s3, how):
    place, direct, proxy = s3
    at = {}

    def early_stop(trials):
        now, count = time.monotonic(), len(trials.trials)
        if count == 5:
            proxy.cut() if how == "refuses" else proxy.hold(Way.THERE, Way.BACK)
            at["gone"] = now, count
        elif "gone" in at and "back" not in at and now - at["gone"][0] > MINUTE:
            proxy.mend()
            at["back"] = now, count
        return "back" in at and count == at["back"][1] + 20, []

    def objective(case):
        threading.Event().wait(0.05)
        return float(case)

    trials = new_trials(parallelism=2, journal=place)
    fmin(objective, CASE, in_order, 100_000, trials=trials, verbose=False, early_stop_fn=early_stop)
    assert at["back"][1] - at["gone"][1] > 50
    # fmin has returned: everything is there.
    assert settled(direct) == {trial["tid"] for trial in trials.trials}
