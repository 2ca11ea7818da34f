"""Measurements. One question a file; ``python -m benchmarks`` asks them.

overhead.py   what a trial costs beside its objective
peers.py      what users could pick instead, each as a small adapter
record.py     a measurement with the machine and the versions that it was made on
"""
