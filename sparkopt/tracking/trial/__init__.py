"""MLflow inside a trial: what an objective logs goes to the driver, though a worker knows no tracking store.

    objective.py        TrackedObjective; watches for the import of MLflow
    metric_objective.py MetricObjective; reports by what the objective logs (metric_reports.py)
    mlflow_import.py    notice of the import of MLflow
    mlflow_session.py   MLflow in an evaluator's process, set up for each trial and cleaned up after it
    relay_store.py      the tracking store         buffer.py   its metrics, parameters and tags, in batches
    artifacts.py        the artifact repository    plugins.py  MLflow's entry points

The other half is sparkopt/tracking/relay.py. This module, the objectives and mlflow_import.py load no MLflow.
"""
