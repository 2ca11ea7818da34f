"""A ``sparkopt serve``, and a shell that knows where it is."""

from __future__ import annotations

import pytest

from sparkopt import ControlClient
from sparkopt.client import EventKind
from tests.cli.control_calls import MODULES, Shell
from tests.support.post import Post
from tests.support.served import Served


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    """Both workers of it have joined."""
    directory = tmp_path_factory.mktemp("served")
    served = Served(directory, "driven:square", "--read-only-token-file", "look.token", modules=MODULES)
    with ControlClient(served.address, token=served.token) as client, client.watch(after=0) as events:
        joined = (event for event in events if event.kind is EventKind.WORKER_JOINED)
        assert [next(joined), next(joined)]
    yield Shell(served)
    assert served.end() == 0


@pytest.fixture
def client(shell):
    """Of the same service."""
    with ControlClient(shell.served.address, token=shell.served.token) as opened:
        yield opened


@pytest.fixture
def post(tmp_path):
    """Where objectives meet the test."""
    opened = Post(tmp_path / "post")
    yield opened
    opened.close()
