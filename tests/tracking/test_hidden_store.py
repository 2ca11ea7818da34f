"""A store that only the driver can reach: everything arrives all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient

from tests.support.mlflow_parts import HAS_PICTURES
from tests.support.paths import python_path
from tests.tracking.runs import artifacts, children, content, main_runs

HERE = Path(__file__).parent


def test_everything_arrives_in_a_store_that_workers_cannot_see(new_store, tmp_path, monkeypatch):
    place = tmp_path / "store"
    place.mkdir()
    uri = new_store(place)
    subprocess.run(
        [sys.executable, HERE / "hidden_store.py", place, uri],
        env={**os.environ, "PYTHONPATH": python_path()},
        cwd=tmp_path,
        timeout=150,
        check=True,
    )
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("hidden")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment.experiment_id)
    (main,) = main_runs(client)
    assert main.info.status == "FINISHED"
    assert ("fmin/loss_over_trials.png" in artifacts(client, main)) is HAS_PICTURES
    found = children(client, main)
    assert sorted(found) == [0, 1, 2, 3]
    for tid, run in found.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["seen"] == "[]"  # the directory was there, and empty
        assert run.data.metrics["loss"] == tid
        assert run.data.metrics["twice"] == 2 * tid
        assert content(client, run, "notes/words.txt") == b"words"
