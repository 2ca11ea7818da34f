"""MLflow: a study's run and its children, written behind the search's back, and what objectives log.

    study ── proposed, ended ──▶ Tracker ── records ──▶ Writer (a thread) ──▶ Store ──▶ MlflowClient
                                                          │ the store is gone for too long
                                                          └──▶ a file ── sparkopt replay ──▶ Store
    objective ── mlflow.log_… ──▶ trial/ ── messages ──▶ Relay (in that thread) ──▶ MlflowClient

The only room that imports mlflow, and it is imported only if a search is tracked; on a worker, only if the
objective imports it as well.

The study's half. Records name runs by trial, because a run has no id before it is created. So they can
wait in memory, be merged, be written to a file when the store is gone, and be replayed from it. A trial's
run is made while the trial runs, as no store changes the start of a run later: a worker tells of an
attempt that still runs after a tenth of a second. The run of a shorter trial is made when it has settled.
Nothing that is raised while records are made reaches the study (attempts.py); names of the user's go
through names.py. A search that makes records without a pause has the interpreter to itself for up to a
second before the writer begins.

The objective's half. On a worker, MLflow's own client runs against a tracking store and an artifact
repository of ours (trial/). Its calls travel as requests: MLflow's own protobuf messages, and files. The
driver takes a message if it is on the list (messages.py), and if every run, model and artifact in it is
the trial's or was made by it (ownership.py). Addresses of artifacts are replaced both ways, so that a
worker never learns where they are.
"""
