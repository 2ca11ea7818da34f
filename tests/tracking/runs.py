"""What there is in a tracking store, in short words."""

from __future__ import annotations

import os

from mlflow.artifacts import download_artifacts


def all_runs(client):
    """The runs of the current experiment, the oldest first."""
    experiment = os.environ["MLFLOW_EXPERIMENT_ID"]
    return list(client.search_runs([experiment], max_results=1000, order_by=["attributes.start_time ASC"]))


def main_runs(client):
    """Runs without a parent, the oldest first."""
    return [run for run in all_runs(client) if "mlflow.parentRunId" not in run.data.tags]


def children(client, parent):
    """A run's children, by their trials."""
    found = [run for run in all_runs(client) if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    by_trial = {int(run.data.tags["tid"]): run for run in found}
    assert len(by_trial) == len(found), "a trial has two runs"
    return by_trial


def artifacts(client, run, folder=None):
    """The paths of a run's artifacts, in all folders."""
    paths = []
    for entry in client.list_artifacts(run.info.run_id, folder):
        paths += artifacts(client, run, entry.path) if entry.is_dir else [entry.path]
    return sorted(paths)


def content(client, run, path):
    """An artifact's bytes."""
    with open(download_artifacts(run_id=run.info.run_id, artifact_path=path), "rb") as file:  # noqa: PTH123
        return file.read()
