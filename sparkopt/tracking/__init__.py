"""MLflow: a study's run and its children, written behind the search's back.

    study ── proposed, ended ──▶ Tracker ── records ──▶ Writer (a thread) ──▶ Store ──▶ MlflowClient
                                                          │ the store is gone for too long
                                                          └──▶ a file ── sparkopt replay ──▶ Store

The only room that imports mlflow, and it is imported only if a search is tracked.
"""
