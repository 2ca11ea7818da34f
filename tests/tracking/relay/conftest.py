"""Stores, and a search whose trials have logged everything that there is to log."""

from __future__ import annotations

import contextlib

import cloudpickle
import pytest

from sparkopt.coordinator import ObjectiveSpec
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.tracking.trial.objective import TrackedObjective
from tests.tracking.relay import deeds

cloudpickle.register_pickle_by_value(deeds)


@pytest.fixture(scope="module")
def make_desk(new_store, tmp_path_factory):
    """Makes a desk with a new store."""
    from tests.tracking.relay.desk import Desk

    desks = []

    def make():
        directory = tmp_path_factory.mktemp("tracked")
        desks.append(Desk(new_store(directory), directory / "artifacts"))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture(scope="module")
def logging_pool(spark, make_desk):
    """Opens a pool with one worker, and makes studies in it whose desks stay when it is closed."""

    from tests.tracking.relay.desk import Logging

    @contextlib.contextmanager
    def open_pool():
        studies = []
        with WorkerPool(1, spark_session=spark) as pool:

            def make(objective=deeds.do):
                channel = pool.open_study(ObjectiveSpec(cloudpickle.dumps(TrackedObjective(objective))))
                studies.append(Logging(channel, make_desk()))
                return studies[-1]

            try:
                yield make
            finally:
                for study in studies:
                    study.close()

    return open_pool
