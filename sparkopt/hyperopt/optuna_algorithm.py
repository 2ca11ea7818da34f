"""Optuna's samplers as algorithms of hyperopt: ``from_optuna``.

    new ids ──▶ what has become of the trials ──▶ Optuna study ──▶ sampler ──▶ latent values ──▶ documents

A sampler knows uniform distributions, logarithmic ones, whole numbers and categories. Each hyperparameter is
one of these to it (``latent.py``), and the space is walked from its root, so that labels of options that were
not chosen are not asked for.
"""

from __future__ import annotations

import copy
import dataclasses
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from hyperopt import base, pyll

from sparkopt.errors import ArgumentValueError
from sparkopt.hyperopt import optuna_bridge
from sparkopt.hyperopt.described import DescribedSpace, description_of
from sparkopt.hyperopt.documents import Document, DrawnValues
from sparkopt.hyperopt.latent import Latent, latent_of
from sparkopt.hyperopt.space import parameters_of
from sparkopt.study.trial_description import Dimension, TrialDescription

if TYPE_CHECKING:
    from sparkopt.optuna.sampled_study import SampledStudy

_UNDESCRIBED: Final = DescribedSpace()

Ask = Callable[[Dimension], Any]


def from_optuna(sampler: Any) -> OptunaAlgorithm:
    """Make an algorithm for ``fmin`` of a sampler of Optuna's. It needs Optuna.

    The sampler sees every trial with its state, its reports and its loss: those that run as running, which
    constant liars count on, and those that were failed, lost or cancelled as failed. A normal distribution is
    a uniform one of its quantiles to it, up to six standard deviations; the probabilities of an
    ``hp.pchoice`` are not known to it.

    A sampler with a seed draws what it would draw in a study of Optuna's own, while one trial runs at a time.
    One without is seeded by ``fmin``'s ``rstate``. In a search that goes on from earlier trials, as after a
    resume, the seed and the number of trials decide together. Each search uses a copy of the sampler.

    Args:
        sampler: :class:`optuna.samplers.TPESampler`, for instance, with any arguments.

    Raises:
        ModuleNotFoundError: if there is no Optuna.
        ArgumentTypeError: if it is not a sampler.

    Example:
        >>> from optuna.samplers import TPESampler
        >>> best = fmin(
        ...     lambda x: x**2, hp.uniform("x", -1, 1), algo=from_optuna(TPESampler(seed=1)), max_evals=50,
        ...     trials=SparkTrials(parallelism=4),
        ... )
    """
    optuna_bridge.check_sampler(sampler)
    return OptunaAlgorithm(sampler)


class OptunaAlgorithm:
    """An algorithm with hyperopt's signature that asks a sampler of Optuna's.

    Args:
        sampler: of Optuna's.
    """

    def __init__(self, sampler: Any) -> None:
        self._sampler = copy.deepcopy(sampler)
        self._asked: _AskedSearch | None = None
        # The name by which a journal knows its search's algorithm.
        self.__qualname__ = f"from_optuna({type(sampler).__name__})"

    def __repr__(self) -> str:
        return f"<{self.__qualname__}>"

    def __reduce__(self) -> Any:
        return from_optuna, (self._sampler,)

    def check_space(self, domain: base.Domain) -> None:
        """Refuse a space that no sampler of Optuna's can be asked for.

        Args:
            domain: hyperopt's description of it.

        Raises:
            ArgumentValueError: naming the hyperparameter, and why.
        """
        _Walk(domain.expr)

    def __call__(
        self, new_ids: Sequence[int], domain: base.Domain, trials: base.Trials, seed: int
    ) -> list[Document]:
        """Propose trials.

        Args:
            new_ids: of the trials.
            domain: the objective and the space.
            trials: of the search.
            seed: for a sampler that has none.

        Returns:
            A document for each; none if the sampler has nothing left to try.

        Raises:
            ArgumentValueError: if the space cannot be said to the sampler.
        """
        asked = self._asked
        if asked is None or not asked.is_of(domain, trials):
            asked = self._asked = _AskedSearch(self._sampler, domain, trials)
            asked.study.seed(seed, 0 if not len(trials._dynamic_trials) else new_ids[0])
        asked.follow(trials)
        return [] if asked.study.exhausted else [asked.propose(tid, domain, trials) for tid in new_ids]


class _Walk:
    """A way through a space, from its root to the hyperparameters of the options that are chosen.

    Args:
        expression: of the space.

    Raises:
        ArgumentValueError: if the way, or a distribution, depends on what the space calculates.
    """

    def __init__(self, expression: pyll.Apply) -> None:
        self._root = expression
        choices = {
            str(node.pos_args[0].arg["label"].obj): len(node.pos_args) - 1
            for node in pyll.dfs(expression)
            if node.name == "switch" and node.pos_args[0].name == "hyperopt_param"
        }
        for node in pyll.dfs(expression):
            if node.name == "switch" and node.pos_args[0].name != "hyperopt_param":
                raise ArgumentValueError(
                    "space has a switch that no hp.choice decides: a sampler of Optuna's can be asked only"
                    " where a choice decides which hyperparameters are active"
                )
        self.latents: dict[str, Latent] = {
            label: latent_of(label, node.arg["obj"], choices.get(label))
            for node, label in parameters_of(expression)
        }

    def __call__(self, ask: Ask) -> dict[str, Any]:
        """Ask for each hyperparameter that is active; return values as documents have them, by label."""
        values: dict[str, Any] = {}
        seen: set[int] = set()

        def visit(node: pyll.Apply) -> None:
            if id(node) in seen:
                return
            seen.add(id(node))
            if node.name == "hyperopt_param":
                latent = self.latents[str(node.arg["label"].obj)]
                values[latent.dimension.label] = latent.value(ask(latent.dimension))
            elif node.name == "switch":
                visit(node.pos_args[0])
                visit(node.pos_args[1 + values[str(node.pos_args[0].arg["label"].obj)]])
            else:
                for part in node.inputs():
                    visit(part)

        visit(self._root)
        return values


class _AskedSearch:
    """A search, as the study knows it whose sampler is asked.

    Attributes:
        study: Optuna's.

    Args:
        sampler: of Optuna's.
        domain: the objective and the space.
        trials: of the search.
    """

    def __init__(self, sampler: Any, domain: base.Domain, trials: base.Trials) -> None:
        self._walk = _Walk(domain.expr)
        dimensions = [latent.dimension for latent in self._walk.latents.values()]
        self.study: SampledStudy = optuna_bridge.sampled_study(sampler, dimensions)
        self._domain, self._trials = weakref.ref(domain), weakref.ref(trials)
        self._tids: list[int] = []
        self._asked: set[int] = set()
        self._open: dict[int, int] = {}

    def is_of(self, domain: base.Domain, trials: base.Trials) -> bool:
        """Returns whether it is the search of these trials."""
        return self._domain() is domain and self._trials() is trials

    def follow(self, trials: base.Trials) -> None:
        """Tell the study what has become of trials, and which are new. Settled ones are not read again."""
        documents, tids = trials._dynamic_trials, self._tids
        while tids and (len(tids) > len(documents) or documents[len(tids) - 1]["tid"] != tids[-1]):
            # The search has taken a proposal back.
            tid = tids.pop()
            if self._open.pop(tid, None) is not None:
                self.study.take([TrialDescription(tid, "cancelled")])
        for place in [*self._open.values(), *range(len(tids), len(documents))]:
            document = documents[place]
            tid = int(document["tid"])
            if place == len(tids):
                tids.append(tid)
            description = self._described(document, trials)
            self.study.take([description])
            if description.state == "running":
                self._open[tid] = place
            else:
                self._open.pop(tid, None)

    def propose(self, tid: int, domain: base.Domain, trials: base.Trials) -> Document:
        """Make a document of what the sampler proposes."""
        values = self.study.ask(tid, self._walk)
        self._asked.add(tid)
        idxs = {label: [tid] if label in values else [] for label in self._walk.latents}
        vals = {label: [values[label]] if label in values else [] for label in self._walk.latents}
        misc = {"tid": tid, "cmd": domain.cmd, "workdir": domain.workdir, "idxs": idxs, "vals": vals}
        (document,) = trials.new_trial_docs([tid], [None], [domain.new_result()], [misc])
        made: Document = document
        return made

    def _described(self, document: Document, trials: base.Trials) -> TrialDescription:
        """A document as the sampler sees it: latent values, and reports on the scale of the loss."""
        described = description_of(document, _UNDESCRIBED)
        reports = described.reports
        if getattr(trials, "metric", None) is not None and not trials.metric_is_loss:
            reports = {}
        elif getattr(trials, "mode", "min") == "max":
            reports = {step: -value for step, value in reports.items()}
        latents, params = self._walk.latents, {}
        if described.tid not in self._asked:
            drawn = DrawnValues(document["misc"]["vals"])
            params = {label: latents[label].seen(drawn[label]) for label in drawn if label in latents}
        state = "running" if described.state == "pending" else described.state
        return dataclasses.replace(described, state=state, params=params, reports=reports)
