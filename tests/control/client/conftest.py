"""Pools that clients drive, and the line between them."""

from __future__ import annotations

import cloudpickle
import pytest

from sparkopt import ControlClient, WorkerPool
from sparkopt.client import EventKind
from tests.support import driven
from tests.support.post import Post
from tests.support.proxy import Proxy

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(driven)


@pytest.fixture
def pool(spark):
    """Two workers, open to control, who are both there: one that comes late would be an event."""
    with WorkerPool(2, spark_session=spark, control=True) as opened:
        with (
            ControlClient(opened.control_address, token=opened.control_token) as client,
            client.watch(after=0) as events,
        ):
            missing = 2
            while missing:
                missing -= next(events).kind is EventKind.WORKER_JOINED
        yield opened


@pytest.fixture
def evaluation(pool):
    """A study of the pool's that is evaluated from outside: ``driven.square``."""
    with pool.open_evaluation(driven.square) as opened:
        yield opened


@pytest.fixture
def client(pool):
    """A client of the pool."""
    with ControlClient(pool.control_address, token=pool.control_token) as opened:
        yield opened


@pytest.fixture
def line(pool):
    """A line to the pool that can be cut."""
    proxy = Proxy(pool.control_address)
    yield proxy
    proxy.close()


@pytest.fixture
def distant(pool, line):
    """A client at the other end of that line."""
    with ControlClient(line.address, token=pool.control_token) as opened:
        yield opened


@pytest.fixture
def post(tmp_path):
    """Where objectives meet the test."""
    opened = Post(tmp_path / "post")
    yield opened
    opened.close()
