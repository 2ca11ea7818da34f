"""Objectives that log a metric to MLflow. Imported by evaluators, so standing alone."""

from __future__ import annotations

import threading
import time

from tests.coordinator.meetings import meet


def every_way(argument):
    """Log the metric in every way that there is, and others beside it."""
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    mlflow.log_metric("val_loss", 4.0)
    mlflow.log_metric("val_loss", 3.0)  # without steps
    mlflow.log_metric("loss", 99.0, step=5)
    mlflow.log_metrics({"val_loss": 2.0, "loss": 98.0}, step=7)
    run = mlflow.active_run().info.run_id
    MlflowClient().log_metric(run, "val_loss", 1.0, step=8)
    MlflowClient().log_batch(run, [Metric("val_loss", 0.5, 0, 9), Metric("val_loss", 0.25, 0, 10)])
    mlflow.log_metric("val_loss", 7.0, step=-1)  # no step of a report
    with mlflow.start_run(nested=True):
        mlflow.log_metric("val_loss", 100.0, step=11)
    thread = threading.Thread(target=MlflowClient().log_metric, args=(run, "val_loss", 0.125, 0, 12))
    thread.start()
    thread.join()
    from mlflow.utils.autologging_utils import batch_metrics_logger

    with batch_metrics_logger(run) as logger:  # as the callbacks of LightGBM and XGBoost do
        for step in (20, 21):
            logger.record_metrics({"val_loss": 0.0625, "loss": 97.0}, step)
    return run


def to_a_store_of_its_own(argument):
    """Log every way in a run of its own."""
    import mlflow

    mlflow.set_tracking_uri(argument)
    with mlflow.start_run():
        return every_way(argument)


def until_pruned(argument):
    """Leave a run open, meet the test, and log until that raises."""
    import mlflow

    post, uri, way = argument
    if uri:
        mlflow.set_tracking_uri(uri)
        mlflow.start_run()
    run = mlflow.start_run(nested=True).info.run_id
    mlflow.log_metric("val_loss", 1.0, step=1)
    meet(post, run)
    from mlflow.utils.autologging_utils import batch_metrics_logger

    for step in range(2, 100_000):
        try:
            if way == "log_metric":
                mlflow.log_metric("other", 1.0, step=step)
            elif way == "autologging":
                with batch_metrics_logger(run) as logger:
                    logger.record_metrics({"val_loss": 1.0}, step)
            else:
                mlflow.log_metrics({"val_loss": 1.0}, step=step)
        except Exception:
            return "swallowed"
        time.sleep(0.001)
    return "never pruned"


def without_mlflow(argument):
    """Use none."""
    import sys

    return "mlflow" in sys.modules
