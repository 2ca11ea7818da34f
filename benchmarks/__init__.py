"""Measurements. One question a file; ``python -m benchmarks`` asks them.

overhead.py   what a trial costs beside its objective
journal.py    what a journal adds to that
tracking.py   what MLflow adds to it
faults.py     what a fault costs
peers.py      what users could pick instead, each as a small adapter
record.py     a measurement with the machine and the versions that it was made on
cluster.py    a standalone cluster on loopback, for tests too
proxy.py      a line that can be cut, for tests too
strikes.py    faults drawn from a seed
usage.py      what the driver uses meanwhile
"""
