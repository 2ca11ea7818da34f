"""Objectives, and what is the same of a study whoever has run it. Workers get all of it by value."""

from __future__ import annotations

import cloudpickle


def shipped(function):
    """The same function, with all that it needs: workers cannot import a test's module by its name."""
    return cloudpickle.loads(cloudpickle.dumps(function))


def facts(study):
    """Everything of a study's trials but times and ids."""
    return [
        {
            "number": trial.number,
            "state": trial.state.name,
            "values": trial.values,
            "params": trial.params,
            "distributions": trial.distributions,
            "reports": trial.intermediate_values,
            "user": trial.user_attrs,
            "system": trial.system_attrs,
        }
        for trial in study.get_trials()
    ]


def states(study):
    """How the trials of a study have ended, in order."""
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]
