"""Measurements. One question a file; ``python -m benchmarks`` asks them.

question.py     what all questions have in common: options, record, tables, limits, exit status
overhead.py     what a trial costs beside its objective
growth.py       what the k-th trial costs, as the history grows
utilisation.py  the share of the workers' time that is spent in objectives
payload.py      what an objective costs that carries data
startup.py      how long until the first trial runs (first_trial.py: in a process of its own)
workers.py      how many workers a driver can serve (streams.py: simulated ones)
footprint.py    memory of a worker's processes, and their start (waiting_crowd.py: in a process of its own)
time_to_loss.py how long a search takes until its loss is good (sleeping/: on what, and by whom)
modelsearch.py  the demo's search, end to end
journal.py      what a journal adds to a trial
tracking.py     what MLflow adds to it
tracking_server.py  what MLflow adds to it over http (tracked_search.py: in a process of its own)
faults.py       what a fault costs (strikes.py: faults drawn from a seed)
elastic.py      cost of executors that come and go

everything.py   all questions, with every peer; their records and pictures
report.py       RESULTS.md, from the records alone

peers/          what users could pick instead, each as a small adapter
statistics.py   medians, spreads, ratios, and the order in which rounds go
record.py       a measurement with the machine and the versions that it was made on, and its limits
tables.py       figures for people
plots.py        pictures of them
objectives.py   objectives to be measured with
notes.py        what trials noted of themselves
cluster.py      a standalone cluster on loopback, for tests too
proxy.py        a line that can be cut, for tests too
python_processes.py  memory and processor time of Spark's Python processes, by their roles
usage.py        what the driver uses meanwhile
"""
