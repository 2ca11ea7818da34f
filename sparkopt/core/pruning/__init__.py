"""Pruners: rules that stop a running trial whose reports show that it will not win.

    (tid, step, value) ──▶ Pruner.reported ──▶ stop?
    (tid, outcome)     ──▶ Pruner.settled

    pruner.py         interface, and the one that turns values around where the largest is the best
    percentile.py     stops what is worse than a percentile of the finished trials at the same step
    halving.py        keeps the best third, say, at steps that lie ever further apart
    hyperband.py      several of those side by side, each with another first step
    threshold.py      stops what leaves given bounds
    intervals.py      intervals of steps, of each of which the first report is judged
    sorted_values.py  values in order

Like the rest of the core this is pure: the standard library alone, no clock, no I/O. A report costs constant
time, or a search by halving among the values of other trials. What a pruner knows follows from the values by
trial and step, and from the trials that have ended; the order in which different trials reported has no part
in it. So one that is fed with what a journal has decides as the one before would have.

A step that is reported again, as by another attempt at the trial, replaces the value that it had. NaN is
worse than any other value, and infinities compare as floats do.

It exports nothing by itself: settings that users give are in :mod:`sparkopt.study.pruning_rules`.
"""
