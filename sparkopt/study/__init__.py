"""Parts of a search that no front end owns.

study_spec.py         everything about a study that is known before it begins
proposer.py           interface of front ends, which propose trials
trial_record.py       a trial, from its proposal to its final state
study.py              the loop that owns one search
listener.py           interface of what hears of trials; progress.py, a bar that does
failures.py           why trials failed
unreported.py         warning that a search prunes, but its trials report nothing
oversubscription.py   warning that a host has too few cores for its workers' threads
search_summary.py     how a search has ended
trial_description.py  trials and hyperparameters as plots, tables and Optuna studies show them
journal/              what survives the driver
quarantine.py         code of the user's that runs on the driver, apart from the driver's own
timings.py            where the time of a search went
file_arguments.py     arguments that name a file to write to
"""
