"""Front end for hyperopt: ``fmin``, SparkTrials, documents, spaces and algorithms.

fmin.py              fmin with hyperopt's signature; fmin_options.py, its arguments
spark_trials.py      SparkTrials: hyperopt's Trials, evaluated by workers
search.py            one call of fmin: checked, put together and run
algorithm_proposer.py  the study's proposer: an algorithm of hyperopt's

documents.py         hyperopt's documents, from proposal to final state
inherited.py         documents that a search finds on its trials
proposals.py         check of an algorithm's proposals
points_to_evaluate.py  points that a user asks for, as documents
results.py           what an objective has returned; no_loss.py, why no trial has a loss
savefile.py          trials_save_file; journalled.py, documents as bytes of a journal

domain.py            an objective and its space; space.py, from values to an argument
program.py           pyll expressions that are evaluated again and again
ranges.py            values that a hyperparameter can take; readable.py, a space and its points as text
described.py         spaces and trials as plain data, for plots, tables and Optuna studies
suggest/             hyperopt's algorithms, with the same draws and less work
optuna_algorithm.py  Optuna's samplers as algorithms; latent.py, hyperparameters as these know them
optuna_bridge.py     the way to Optuna's room
trial_results.py     what SparkTrials show of a search; trial_counts.py, counts of its trials
journal_study.py     journals as Optuna studies; journal_reading.py, as rows

result_convention.py what an objective returns, for workers; ctrl.py, hyperopt's Ctrl there
space_evaluation.py  WorkerPool, which also evaluates points of a space that clients send
tracked.py           a search in MLflow
advice.py            warnings of searches that are less clever than they look
bars.py              progress bars
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkopt.hyperopt.optuna_algorithm import from_optuna

__all__ = ["from_optuna"]


if not TYPE_CHECKING:  # which would believe that any name is here

    def __getattr__(name: str) -> Any:
        if name != "from_optuna":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from sparkopt.hyperopt.optuna_algorithm import from_optuna

        globals()[name] = from_optuna
        return from_optuna


def __dir__() -> list[str]:
    return [*__all__]
