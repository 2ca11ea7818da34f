"""An objective that logs a bit of everything, and what there is then, whatever the store.

That includes a model where there is scikit-learn to make one with.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.support.mlflow_parts import HAS_SKLEARN

LARGE = os.urandom(2 * 2**20)


def log_everything(case):
    """Log a bit of everything; the loss is the case."""
    import mlflow

    mlflow.log_params({"case": float(case), "mine": case})
    for step in range(3):
        mlflow.log_metric("m", step, step=step)
    mlflow.set_tag("colour", "red")
    mlflow.log_text("words", "texts/w.txt")
    with tempfile.TemporaryDirectory() as directory:
        large = Path(directory, "large.bin")
        large.write_bytes(LARGE)
        mlflow.log_artifact(large)
    with mlflow.start_run(nested=True, run_name="child"):
        mlflow.log_metric("below", case)
    return {"status": "ok", "loss": float(case), "model": log_model() if HAS_SKLEARN else None}


def log_model():
    """Log a model; its id, where models have one."""
    import mlflow
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    named = "name" if hasattr(mlflow, "last_logged_model") else "artifact_path"
    info = mlflow.sklearn.log_model(fitted, **{named: "model"}, pip_requirements=["scikit-learn"])
    assert mlflow.sklearn.load_model(info.model_uri).predict([[1.0]])[0] > 1
    return getattr(info, "model_id", None)


def check_logged(client, run, case, directory):
    """Look at what has become of it."""
    run_id = run.info.run_id
    assert (run.data.params["case"], run.data.params["mine"]) == (str(case), str(case))
    assert run.data.metrics.items() >= {"m": 2.0, "loss": float(case)}.items()
    # A store of files has some twice: MLflow logs those of a model's step again, for the model.
    history = client.get_metric_history(run_id, "m")
    assert {(each.step, each.value) for each in history} == {(0, 0), (1, 1), (2, 2)}
    assert (run.data.tags["colour"], run.data.tags["trial_status"]) == ("red", "success")
    assert run.info.status == "FINISHED"
    for path, content in (("texts/w.txt", b"words"), ("large.bin", LARGE)):
        with open(client.download_artifacts(run_id, path, str(directory)), "rb") as file:  # noqa: PTH123
            assert file.read() == content
    (child,) = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert (child.info.run_name, child.info.status, child.data.metrics) == (
        "child",
        "FINISHED",
        {"below": case},
    )
    if not HAS_SKLEARN:
        return
    if hasattr(client, "search_logged_models"):
        (model,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
        files = {each.path for each in client.list_logged_model_artifacts(model.model_id)}
    else:
        files = {each.path.rpartition("/")[2] for each in client.list_artifacts(run_id, "model")}
    assert files >= {"MLmodel", "requirements.txt"}
