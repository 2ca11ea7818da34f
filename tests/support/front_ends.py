"""Front ends of a few lines, and hyperopt's: what the conformance suites run on."""

from __future__ import annotations

import pickle
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from hyperopt import hp, rand

from sparkopt import SparkTrials
from sparkopt.coordinator import ObjectiveSpec
from sparkopt.errors import BadRequestError
from sparkopt.hyperopt.algorithm_proposer import AlgorithmProposer, Goal
from sparkopt.hyperopt.documents import Documents
from sparkopt.hyperopt.domain import domain_of
from sparkopt.hyperopt.space import Space
from sparkopt.study.journal import Journal, SavedState
from sparkopt.study.proposer import DONE, NoProposal, Proposer
from sparkopt.study.quarantine import Patience
from sparkopt.study.study import Study
from sparkopt.study.study_spec import StudySpec
from sparkopt.study.trial_record import Proposal
from sparkopt.worker.reports import Reporter, ReportingObjective


def square(argument: Mapping[str, Any]) -> float:
    """An objective."""
    return float(argument["x"]) ** 2


def uneven(argument):
    """An objective that fails for one trial, and never ends for one."""
    if argument["tid"] == 2:
        raise ValueError("too far")
    if argument["tid"] == 4:
        signal.pause()
    return float(argument["x"])


class Asking(ReportingObjective):
    """An objective that asks its front end, and returns the length of the answer."""

    def run(self, argument: Any, reporter: Reporter) -> float:
        """Ask."""
        return float(len(reporter.ask("trial.echo", b"12345")))


class _Numbered(Proposer):
    """Numbers trials in the order in which they were proposed, and takes points from outside."""

    def __init__(self) -> None:
        self._next = 0

    def _numbered(self, values: Mapping[str, Any]) -> Proposal:
        self._next += 1
        return Proposal(self._next - 1, values)

    def points(self, values: Sequence[Mapping[str, Any]]) -> list[Proposal]:
        for point in values:
            if set(point) != {"x"}:
                raise BadRequestError("a point has an x", "BAD_POINT", "points")
        return [self._numbered(point) for point in values]

    def recover(self, entries: Sequence[Any]) -> Sequence[Proposal | None]:
        self._next = max((entry.tid + 1 for entry in entries), default=0)
        return super().recover(entries)


class ListProposer(_Numbered):
    """Proposes the points of a list, one after the other."""

    def __init__(self, points: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self._points = points
        self._place = 0

    def propose(self, count: int) -> Sequence[Proposal] | NoProposal:
        chosen = self._points[self._place : self._place + count]
        self._place += len(chosen)
        return [self._numbered(point) for point in chosen] or DONE

    def state(self) -> bytes:
        return pickle.dumps(self._place)

    def resume(self, saved: SavedState) -> None:
        self._place = pickle.loads(saved.value) + saved.behind


class RandomProposer(_Numbered):
    """Proposes random values of x, from a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def propose(self, count: int) -> Sequence[Proposal] | NoProposal:
        return [self._numbered({"x": self._random.random()}) for _ in range(count)]

    def state(self) -> bytes:
        return pickle.dumps(self._random.getstate())

    def resume(self, saved: SavedState) -> None:
        self._random.setstate(pickle.loads(saved.value))
        for _ in range(saved.behind):
            self._random.random()


def a_list(_objective: Any, _journal: Path | None) -> Proposer:
    """A list of points that is longer than any study of a suite."""
    return ListProposer([{"x": number / 100} for number in range(100)])


def random_values(_objective: Any, _journal: Path | None) -> Proposer:
    """Random values of a seed."""
    return RandomProposer(5)


def hyperopts(session: Any) -> Callable[[Any, Path | None], Proposer]:
    """hyperopt's random search."""

    def make(_objective: Any, journal: Path | None) -> Proposer:
        trials = SparkTrials(1, spark_session=session)
        domain = domain_of(square, {"x": hp.uniform("x", 0, 1)})
        space = Space(domain)
        documents = Documents(trials, domain, space, Patience())
        return AlgorithmProposer(
            *(domain, space, rand.suggest, trials, documents, np.random.default_rng(5), Goal()),
            journal=journal,
        )

    return make


class Watched(Proposer):
    """Another proposer, that notes what it is asked, and may answer otherwise.

    Attributes:
        notes: the name of each call about a trial, with the trial's number.
        values: what was proposed, by the trial's number.
        records: of trials that have ended.
        instead: answers, by the name of a call, called in its place with the inner call and its arguments.
    """

    def __init__(self, inner: Proposer, **instead: Callable[..., Any]) -> None:
        self.inner = inner
        self.instead = instead
        self.notes: list[tuple[str, int]] = []
        self.values: dict[int, float] = {}
        self.records: dict[int, Any] = {}
        self.replayed: list[int] = []

    def _call(self, name: str, *given: Any) -> Any:
        inner = getattr(self.inner, name)
        return self.instead[name](inner, *given) if name in self.instead else inner(*given)

    def _noted(self, proposals: Any) -> Any:
        if not isinstance(proposals, NoProposal):
            self.values.update((each.tid, each.values["x"]) for each in proposals if each is not None)
        return proposals

    def propose(self, count: int) -> Any:
        return self._noted(self._call("propose", count))

    def withdraw(self, proposals: Any) -> None:
        self.notes += [("withdraw", proposal.tid) for proposal in proposals]
        self._call("withdraw", proposals)

    def points(self, values: Any) -> Any:
        return self._noted(self._call("points", values))

    def argument(self, proposal: Any) -> bytes:
        return self._call("argument", proposal)

    def own_bytes(self, proposal: Any) -> bytes:
        return self._call("own_bytes", proposal)

    def state(self) -> bytes:
        return self._call("state")

    def recover(self, entries: Any) -> Any:
        return self._noted(self._call("recover", entries))

    def resume(self, saved: Any) -> None:
        self._call("resume", saved)

    def started(self, record: Any) -> None:
        self.notes.append(("started", record.tid))
        self._call("started", record)

    def reported(self, record: Any, report: Any) -> None:
        self._call("reported", record, report)

    def finish(self, record: Any, result: Any) -> None:
        self.notes.append(("finish", record.tid))
        self._call("finish", record, result)
        self.records[record.tid] = record

    def settled(self, record: Any, replayed: bool) -> Any:
        self.notes.append(("settled", record.tid))
        if replayed:
            self.replayed.append(record.tid)
        return self._call("settled", record, replayed)

    def serve(self, request: Any, reply: Any) -> None:
        self._call("serve", request, reply)

    def cancelling(self) -> None:
        self._call("cancelling")


def run(
    pool: Any,
    proposer: Proposer,
    objective: Any = square,
    journal: Journal | None = None,
    listeners: Sequence[Any] = (),
    prepare: Callable[[Any], None] = lambda channel: None,
    workers: int = 1,
    most_workers: int = 0,
    **limits: Any,
) -> Study:
    """Run a study of a rig's coordinator; returns it, also as ``error.study`` of what it raises."""
    spec = StudySpec(ObjectiveSpec(cloudpickle.dumps(objective)), **limits)
    study = Study(spec, proposer, journal)
    if journal is not None:
        study.resume(journal.take_entries())
    channel = pool.coordinator.open_study(next(pool._names), spec.objective, journal)
    prepare(channel)
    try:
        study.run(channel, workers, time.monotonic(), listeners, None, most_workers)
    except Exception as error:
        error.study = study
        raise
    return study
