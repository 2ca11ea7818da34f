"""MLflow: a study's run and its children, written behind the search's back, and what objectives log.

    study ── proposed, ended ──▶ Tracker ── records ──▶ Writer (a thread) ──▶ Store ──▶ MlflowClient
                                                          │ the store is gone for too long
                                                          └──▶ a file ── sparkopt replay ──▶ Store
    objective ── mlflow.log_… ──▶ trial/ ── messages ──▶ Relay (in that thread) ──▶ MlflowClient

The only room that imports mlflow, and it is imported only if a search is tracked; on a worker, only if the
objective imports it as well.
"""
