"""MLflow inside a trial: what an objective logs goes to the driver, though a worker knows no tracking store.

    objective.py        TrackedObjective; watches for the import of MLflow
    metric_objective.py MetricObjective; reports by what the objective logs (metric_reports.py)
    mlflow_import.py    notice of the import of MLflow
    deferred_module.py  MLflow's module, loaded when it is needed
    offered_calls.py    functions in it that need no MLflow     few_calls.py  their work
    mlflow_session.py   MLflow in an evaluator's process, set up for each trial and cleaned up after it
    relay_store.py      the tracking store         buffer.py   its metrics, parameters and tags, in batches
    artifacts.py        the artifact repository    uploads.py  files on their way to the driver
    batch_bytes.py      MLflow's batch as bytes    left_out.py words on what was not logged
    plugins.py          MLflow's entry points

The other half is sparkopt/tracking/relay.py. Only mlflow_session.py, relay_store.py, artifacts.py and
metric_reports.py load MLflow.
"""
