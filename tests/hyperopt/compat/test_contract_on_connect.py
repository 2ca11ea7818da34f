"""Searches on a session of Spark Connect come out as under serial hyperopt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hyperopt.compat import connect_contract
from tests.support.connect_session import FREE_PORT, needs_connect
from tests.support.scripts import run_script

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow, needs_connect]


@pytest.fixture(scope="module")
def differences(tmp_path_factory):
    """What differs, by scenario."""
    directory = tmp_path_factory.mktemp("connect")
    return run_script(Path(connect_contract.__file__), directory, environment=FREE_PORT)


def test_the_session_is_one_of_spark_connect(differences):
    assert differences["session"] == "pyspark.sql.connect.session"


@pytest.mark.parametrize("name", connect_contract.SCENARIOS)
def test_same_as_serial_hyperopt(differences, name):
    assert differences[name] == {}
