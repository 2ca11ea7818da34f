"""MLflow: a study's run and its children, written in the background, and what objectives log.

    study ── proposed, settled ──▶ Tracker ── records ──▶ Writer: a lane for each run ──▶ Delivery ──▶ Store
                                                          │ in threads                  │ the store is gone
                                                          │                             └──▶ a file ──▶ replay
    objective ── mlflow.log_… ──▶ trial/ ── messages ──▶ Relay, in the trial's lane ──▶ MlflowClient

    tracking_settings.py  what users may set                   run_lanes.py      threads, and whose turn it is
    tracker.py            what becomes of a study, as records  pace.py           how many calls help at once
    reported_values.py    values of running trials, gathered   backlog.py        how much may wait
    writer.py             records in their order, merged       file.py           what a store has not taken
    delivery.py           each to the store, or to the file    record_replay.py  that file, written later
    relay.py              what objectives ask for              store.py          records become runs
    experiments.py        the one that the settings name

The only room that imports mlflow, and it is imported only if a search is tracked; on a worker, only if the
objective imports it as well.

The study's half. Records name runs by trial, because a run has no id before it is created. So they can
wait in memory, be merged, be written to a file when the store is gone, and be replayed from it. A trial's
run is made while the trial runs, as no store changes the start of a run later: a worker tells of an
attempt that still runs after a tenth of a second. The run of a shorter trial is made when it has settled.
Nothing that is raised while records are made reaches the study (attempts.py); names of the user's go
through names.py. A search that makes records without a pause has the interpreter to itself for up to a
second before the writer begins. Neither the study's thread nor the coordinator's waits for the store, unless
the backlog is full.

The objective's half. On a worker, MLflow's own client runs against a tracking store and an artifact
repository of ours (trial/). Its calls travel as requests: MLflow's own protobuf messages, and files. The
driver takes a message if it is on the list (messages.py), and if every run, model and artifact in it is
the trial's or was made by it (ownership.py). Addresses of artifacts are replaced both ways, so that a
worker does not learn where they are, unless the settings want that.
"""
