"""Studies of Optuna's in no words of Optuna's."""

from __future__ import annotations

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from sparkopt.optuna.described_study import descriptions_of
from sparkopt.study.trial_description import Dimension

SPACE = {
    "rate": FloatDistribution(1e-4, 1, log=True),
    "share": FloatDistribution(0, 1, step=0.25),
    "layers": IntDistribution(1, 9, step=2),
    "kind": CategoricalDistribution(["tree", None, 3]),
}


def test_trials_and_dimensions_of_a_study_are_described():
    study = optuna.create_study(direction="maximize")
    params = {"rate": 0.1, "share": 0.5, "layers": 3, "kind": None}
    study.add_trial(create_trial(params=params, distributions=SPACE, value=2.0))
    pruned = {"state": TrialState.PRUNED, "intermediate_values": {3: 0.5, 1: 0.25}}
    study.add_trial(create_trial(params={"rate": 0.2}, distributions={"rate": SPACE["rate"]}, **pruned))
    study.add_trial(create_trial(state=TrialState.FAIL))

    trials, dimensions = descriptions_of(study)

    assert [trial.state for trial in trials] == ["ok", "pruned", "failed"]
    assert [trial.values for trial in trials] == [[2.0], [0.5], None]
    assert trials[0].params == {"rate": 0.1, "share": 0.5, "layers": 3, "kind": None}
    assert trials[1].params == {"rate": 0.2}
    assert list(dimensions) == [
        Dimension("rate", "float", 1e-4, 1, logarithmic=True),
        Dimension("share", "float", 0, 1, 0.25),
        Dimension("layers", "int", 1, 9, 2),
        Dimension("kind", "choice", options=("tree", None, 3)),
    ]
