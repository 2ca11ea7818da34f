"""GPUs: a trial sees those that Spark gave its worker's task, and no others."""

from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from sparkopt.worker import gpus
from sparkopt.worker.gpus import GpuAddressError
from tests.spark import gpu_scenarios
from tests.support.cluster import Cluster
from tests.support.connect_session import HOME, OFF, needs_connect
from tests.support.scripts import run_script

pytestmark = pytest.mark.timeout(300)

TASK = "spark.task.resource.gpu.amount"


def searches(cluster, directory, *sessions, **environment):
    """What searches saw, each for a task's GPUs, its parallelism, a profile's, and the kind of session."""
    gpus = {"spark.executor.resource.gpu.amount": "2", "spark.executor.cores": "4"}
    arguments = [
        json.dumps([{**cluster.settings(), **OFF, **gpus, TASK: amount}, parallelism, profile, on_connect])
        for amount, parallelism, profile, on_connect in sessions
    ]
    return run_script(Path(gpu_scenarios.__file__), directory, *arguments, environment=environment)


@pytest.fixture(scope="module")
def store(request, tmp_path_factory):
    """The settings that name a store of MLflow's own; none where there is no MLflow with a database."""
    if not (find_spec("mlflow") and find_spec("sqlalchemy")):
        return {}
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    shutil.copy(request.getfixturevalue("empty_store"), path)
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{path}"}


@pytest.fixture(scope="module")
def said(store, tmp_path_factory):
    """What the searches of a process say: whole GPUs, halves, and a profile that asks for two each."""
    with Cluster(daemons=1, cores=4, gpus=["0", "1"]) as cluster:
        sessions = ("1", 2, 0, False), ("0.5", 4, 0, False), ("1", 2, 2, False)
        return searches(cluster, tmp_path_factory.mktemp("gpus"), *sessions, **store)


def seen(search):
    """The GPUs that each worker's trials saw, by the worker's name."""
    found = {}
    for result in search["results"]:
        _, attempt, worker, addresses = result["trial"]
        assert attempt == 1
        variables = dict.fromkeys(
            ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"), ",".join(addresses)
        )
        # Each trial sets one of them to something else at its end.
        assert result["seen"] == {**variables, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        assert found.setdefault(worker, addresses) == addresses
    assert sorted(result["trial"][0] for result in search["results"]) == list(range(8))
    return found


def test_each_worker_has_a_gpu_of_its_own(said):
    whole = said[0]
    assert sorted(whole["workers"].values()) == [["0"], ["1"]]
    assert seen(whole).items() <= whole["workers"].items()


def test_two_workers_share_a_gpu_of_which_each_needs_half(said):
    halves = said[1]
    assert sorted(halves["workers"].values()) == [["0"], ["0"], ["1"], ["1"]]
    assert seen(halves).items() <= halves["workers"].items()


def test_a_profile_gives_a_worker_two(said):
    both = said[2]
    assert list(map(sorted, both["workers"].values())) == [["0", "1"]]
    assert seen(both).items() <= both["workers"].items()


def test_the_command_line_lists_them(said):
    for search in said:
        heading, *rows = (re.split(" *[┃│] *", line)[1:-1] for line in search["listed"] if line[0] in "┃│")
        listed = {row[0]: row[heading.index("GPUs")].split(", ") for row in rows}
        assert listed == search["workers"]


def test_mlflow_has_them_as_a_tag(said, store):
    if not store:
        pytest.skip("there is no MLflow with a database")
    from mlflow import MlflowClient

    runs = MlflowClient(store["MLFLOW_TRACKING_URI"]).search_runs(["0"])
    tags = [run.data.tags for run in runs if "tid" in run.data.tags]
    trials = [result["trial"] for search in said for result in search["results"]]
    assert sorted((each["worker"], each["worker_gpus"]) for each in tags) == sorted(
        (worker, ",".join(addresses)) for *_, worker, addresses in trials
    )


def test_sparks_own_processes_see_what_they_saw(said):
    assert [search["left"] for search in said] == [[""]] * 3


@pytest.mark.slow
@needs_connect
def test_the_same_on_spark_connect(tmp_path):
    with Cluster(daemons=1, cores=4, gpus=["0", "1"], home=HOME) as cluster:
        # Four are asked for; the settings say that there are GPUs for two.
        (whole,) = searches(cluster, tmp_path, ("1", 4, 0, True))
    assert whole["connect"]
    assert sorted(whole["workers"].values()) == [["0"], ["1"]]
    assert seen(whole).items() <= whole["workers"].items()


@pytest.mark.parametrize(
    ("addresses", "variables"),
    [
        ([], {}),
        (["GPU-5ebe9f43"], {"CUDA_VISIBLE_DEVICES": "GPU-5ebe9f43", "HIP_VISIBLE_DEVICES": "GPU-5ebe9f43"}),
        (["MIG-1", "MIG-2"], {"CUDA_VISIBLE_DEVICES": "MIG-1,MIG-2"}),
        (["0.0", "0.1"], {"ZE_AFFINITY_MASK": "0.0,0.1"}),
    ],
)
def test_addresses_that_are_no_numbers_are_for_the_libraries_that_know_them(addresses, variables):
    assert gpus.variables_for(addresses) == variables


@pytest.mark.parametrize("addresses", [["nvidia0"], ["0", "GPU-5ebe9f43"], [""]])
def test_other_addresses_are_refused(addresses):
    with pytest.raises(GpuAddressError, match=r"have the discovery script .* print numbers"):
        gpus.variables_for(addresses)
