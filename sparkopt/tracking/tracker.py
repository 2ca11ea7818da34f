"""Records of a study in MLflow: a run for the study, and a child of it for each trial.

The study's run is the active one, or one of its own that is active while the study runs. Its children have
the names that dashboards for such searches know already.

A trial's run lasts as long as the trial does, so it is made once that runs: when a worker says so, or asks
for the run, or has already ended it. A store does not take another time for the start of a run later.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow
from mlflow.entities import Param, Run, RunData, RunTag
from mlflow.environment_variables import MLFLOW_RUN_ID
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sparkopt.errors import TrackingError
from sparkopt.study.listener import Listener
from sparkopt.tracking import versions
from sparkopt.tracking.attempts import Attempts
from sparkopt.tracking.experiments import experiment_id
from sparkopt.tracking.masking import MaskedStream, is_secret, mask, shown_cause
from sparkopt.tracking.names import Names, cleaned, fitted, storable
from sparkopt.tracking.outcome_texts import as_json, tags_of
from sparkopt.tracking.reach import check_direct, check_reach, unusable
from sparkopt.tracking.relay import Relay
from sparkopt.tracking.relay_protocol import TRANSFERS
from sparkopt.tracking.reported_values import VALUE, ReportedValues
from sparkopt.tracking.run_lanes import Kind
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact, Metric
from sparkopt.tracking.store import Store, innermost, remedy_for
from sparkopt.tracking.study_description import StudyDescription
from sparkopt.tracking.tracking_settings import Tracking
from sparkopt.tracking.writer import Writer
from sparkopt.wire import forks
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.lanes import Lane

if TYPE_CHECKING:
    from sparkopt.coordinator import Request, StudyChannel
    from sparkopt.study.search_summary import SearchSummary
    from sparkopt.study.trial_record import TrialRecord
    from sparkopt.wire.value_series import ValueSeries

_LOG: Final = ActorLog("tracking")

_COPIED: Final = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit")
"""The parent's tags that its children get as well: MlflowClient sets none."""

_STATUSES: Final = {"success": "FINISHED", "failure": "FAILED", "pruned": "KILLED", "cancelled": "KILLED"}
"""Status of a trial's run. MLflow's own storage for Optuna has a pruned trial's run KILLED as well."""

_PARAMETERS_SECONDS: Final = 5.0
"""For so long a trial's parameters may wait for its result, so that both are written at once."""

_SECONDS: Final = "seconds"
"""The metric of a trial's run that is ours."""


class Tracker(Listener):
    """Records a study and its trials in MLflow. After construction it raises nothing into the study.

    Args:
        description: of the study.
        settings: how it is to be tracked.

    Raises:
        TrackingError: if the store cannot be reached, or the active run belongs to another experiment than
            the settings ask for, or workers cannot store artifacts that they are to store.
    """

    def __init__(self, description: StudyDescription, settings: Tracking | None = None) -> None:
        self._settings = settings = settings or Tracking()
        self._space, self._words = description.space, description.names
        self._grows, self._tags_of = description.grows, description.tags_of
        self._sign = -1.0 if description.maximizes else 1.0
        self._uri = uri = mlflow.get_tracking_uri()
        check_reach(uri)
        failed = self._take_main(uri, settings.run_name or description.name)
        if isinstance(failed, TrackingError):
            raise failed
        if failed is not None:
            # Not where it was caught: it would go with what is raised, and may quote a password.
            first = innermost(failed)
            raise unusable(uri, first, remedy_for(first)) from shown_cause(failed, uri)
        known = self._known
        self._uuid = uuid.uuid4().hex[:6]
        self._taken = {*known.params, *known.metrics, *known.tags}
        self._again = self._words.identity in known.tags
        self._own_tags = {cleaned(name): storable(value) for name, value in settings.tags.items()}
        self._tags: dict[str, str] = {tag: known.tags[tag] for tag in _COPIED if tag in known.tags}
        self._best: float | None = None
        self._started = time.monotonic()
        self._finished = 0
        self._open: set[int] = set()
        self._unmade: dict[int, dict[str, str]] = {}
        self._begun: dict[int, int] = {}
        self._asked: set[int] = set()
        self._given: dict[int, dict[str, str]] = {}
        self._growing: dict[int, TrialRecord] = {}
        self._attempts = Attempts(uri)
        self._params, self._best_params = Names(), Names()
        self._metrics = Names(ours=[_SECONDS, VALUE])
        self._values = ReportedValues() if description.logs_values else None
        file = Path(f"sparkopt-mlflow-{self._main}.jsonl")
        self._writer = Writer(
            *(self._store, file, description.parallelism, settings.lanes), description.until_kept
        )
        _LOG.info("study's run taken", run=self._main, own=self._own, store=mask(uri))
        writer, store = self._writer, self._store
        self._relay = Relay(
            store.client,
            store.experiment,
            store.run_id,
            writer.write,
            lambda: writer.has_given_up,
            writer.flush,
            self._as_begun,
            direct=settings.artifacts == "direct",
            insist=writer.insist,
        )
        self._begin(description)
        # While workers start, rather than at the end, when the last calls of the store need the interpreter.
        threading.Thread(target=_load_pictures, name="sparkopt-pictures", daemon=True).start()

    @property
    def run_id(self) -> str:
        """The id of the study's run."""
        return self._main

    def _begin(self, description: StudyDescription) -> None:
        space = description.space.text
        tags = {
            **self._own_tags,
            **description.tags,
            "version.mlflow": versions.VERSION,
            "runSource": self._words.source,
            self._words.identity: self._uuid,
            **({"space": space} if space else {}),
        }
        params = {self._name(key): storable(str(value)) for key, value in description.params.items()}
        named = {self._name(cleaned(key)): storable(value) for key, value in tags.items()}
        self._writer.put(Log(None, params, tags=named))
        if space:
            self._put("space.txt", _bytes(space))

    def _name(self, name: str) -> str:
        """A name in the study's run, which may be another study's run as well."""
        return fitted(name, f"_{self._uuid}") if name in self._taken else name

    def _put(self, name: str, data: bytes) -> None:
        folder = f"{self._words.folder}_{self._uuid}" if self._again else self._words.folder
        self._writer.put(LogArtifact(None, f"{folder}/{name}", data))

    def opened(self, channel: StudyChannel) -> None:
        """Receive the starts of trials, and answer the MLflow calls of objectives.

        That is done in the trial's lane of the writer, between its records.
        """

        def answer(request: Request) -> None:
            if self._writer.is_stale(request.tid, request.attempt):
                self._relay.discard(request)  # nobody waits for the answer
                return
            self._writer.begin(request.tid)
            channel.reply(request, self._relay.answer(request))

        def take(request: Request) -> None:
            self._asked.add(request.tid)
            self._writer.attempt_begins(request.tid, request.attempt)
            self._note_begun(request.tid, time.time())
            kind = Kind.TRANSFER if request.method in TRANSFERS else Kind.CALL
            self._writer.call(request.tid, lambda: answer(request), True, kind=kind, flush=False)

        channel.on_begun = self._note_begun
        channel.register(Lane.MLFLOW, take)

    def _note_begun(self, tid: int, seconds: float) -> None:
        """A trial has begun to run, at a time in seconds since the epoch. From any thread."""
        if tid not in self._begun:
            self._begun[tid] = _milliseconds(seconds)
            self._writer.call(tid, lambda: self._make(tid), flush=False)

    def _make(self, tid: int) -> None:
        """Make the run of a trial that runs; called in its lane."""
        # In this order: whoever settles the trial meanwhile takes the parameters first.
        began = self._begun.get(tid)
        if began is not None and (params := self._unmade.pop(tid, None)) is not None:
            self._given[tid] = params
            params.update(self._grown(tid))
            self._writer.write(self._create(tid, began))
            # A trial that ends before that is written in one batch less.
            self._writer.write(Log(tid, params), within=_PARAMETERS_SECONDS)

    def amended(self, tid: int) -> None:
        """More of a trial's values are known. From any thread."""
        if tid in self._begun:  # else its run begins with them
            self._writer.call(tid, lambda: self._log_grown(tid), flush=False)

    def _log_grown(self, tid: int) -> None:
        """Log the parameters that a trial's run does not have yet; called in its lane."""
        given = self._given.get(tid)
        if given is None:
            return
        more = {name: value for name, value in self._grown(tid).items() if name not in given}
        if more:
            given.update(more)
            self._writer.write(Log(tid, more), within=_PARAMETERS_SECONDS)

    def _grown(self, tid: int) -> dict[str, str]:
        """Parameters of a trial by now, if more of them become known while it runs."""
        record = self._growing.get(tid)
        return {} if record is None else self._params_of(record)

    def _params_of(self, record: TrialRecord) -> dict[str, str]:
        params: dict[str, str] = {}
        with self._attempts.at(f"the parameters of trial {record.tid}"):
            for label, text in self._space.values(record.values).items():
                params[self._params.name_of(label)] = storable(text)
        return params

    def _as_begun(self, tid: int) -> Run | None:
        """A trial's run as :meth:`_make` has made it; called in its lane."""
        created, params = self._store.created.get(tid), self._given.get(tid)
        if created is None or params is None:
            return None
        data = RunData(
            [],
            [Param(*each) for each in params.items()],
            [RunTag(*each) for each in created.data.tags.items()],
        )
        return Run(created.info, data)

    def _create(self, tid: int, began: int) -> Create:
        tags = {
            **self._tags,
            **self._own_tags,
            **({MLFLOW_PARENT_RUN_ID: self._main} if self._settings.nested else {}),
            self._words.identity: self._uuid,
            "runSource": self._words.source,
            "tid": str(tid),
        }
        return Create(tid, f"trial {tid}", began, tags)

    def _settle(self, tid: int) -> None:
        """Forget a trial that has settled; called in its lane."""
        self._relay.settle(tid)
        self._writer.forget(tid)
        self._store.created.pop(tid, None)
        self._given.pop(tid, None)
        self._begun.pop(tid, None)  # a worker may say late that it runs, or ask late
        self._asked.discard(tid)

    # While the study runs: called in its thread, and only as long as the backlog is full does it wait.

    def proposed(self, records: Iterable[TrialRecord]) -> None:
        """These trials are about to be submitted."""
        for record in records:
            tid = record.tid
            self._open.add(tid)
            self._unmade[tid] = self._params_of(record)
            if self._grows:
                self._growing[tid] = record

    def started(self, record: TrialRecord) -> None:
        """An attempt was sent to a worker."""
        if record.attempt > 1:
            self._writer.attempt_begins(record.tid, record.attempt)

    def reported(self, record: TrialRecord, values: ValueSeries) -> None:
        """The objective has reported intermediate values."""
        if self._values is None or record.tid not in self._open:
            return
        if metrics := self._values.add(record.tid, values):
            self._note_begun(record.tid, record.started or time.time())
            self._writer.put_logged(Log(record.tid, metrics=metrics), record.attempt)

    def settled(self, record: TrialRecord) -> None:
        """A trial has its final state."""
        tid, status, settled = record.tid, record.status, record.settled
        if tid not in self._open:
            return  # what was proposed could not be recorded in the journal
        now = _now() if settled is None else _milliseconds(settled)
        params, began = self._unmade.pop(tid, None), self._begun.pop(tid, None)
        log = Log(tid, tags={"trial_status": status})
        if params is not None:
            if began is None and status == "cancelled" and (settled is None or not record.attempt):
                self._open.remove(tid)
                self._growing.pop(tid, None)
                return  # it never ran
            if began is None:
                began = now if settled is None else _milliseconds(settled - record.seconds)
            self._writer.put(self._create(tid, began))
            log.params.update(params)
        if self._growing.pop(tid, None) is not None:
            log.params.update(self._params_of(record))
        if settled is not None:
            log.tags.update(tags_of(record))
            log.metrics.append((_SECONDS, record.seconds, now, 0))
        with self._attempts.at(f"the tags of trial {tid}"):
            log.tags.update((cleaned(name), storable(text)) for name, text in self._tags_of(record).items())
        with self._attempts.at(f"the result of trial {tid}"):
            self._say_result(record, log, now)
        if self._values is not None and (metrics := self._values.end(tid, now)):
            self._writer.put_logged(Log(tid, metrics=metrics), record.attempt)
        self._put_last(log, tid)
        if record.error is not None:
            self._writer.put(LogArtifact(tid, "error.txt", _bytes(record.error.text)))
        self._writer.put(End(tid, _STATUSES[status], now))
        self._open.remove(tid)
        self._writer.call(tid, lambda: self._settle(tid))

    def _put_last(self, log: Log, tid: int) -> None:
        """Have a trial's result logged, after what its objective has logged itself."""

        def write() -> None:
            log.metrics = self._relay.last(tid, log.metrics)
            self._writer.write(log)

        if tid in self._asked:
            self._asked.remove(tid)
            self._writer.call(tid, write, flush=False)  # what was logged, and how, is known in its lane only
        else:
            self._writer.put(log)

    def _say_result(self, record: TrialRecord, log: Log, now: int) -> None:
        tid, error = record.tid, record.error
        if error is not None:
            log.tags["error"] = storable(error.kind)
            return
        if record.fault:
            log.tags["error"] = storable(record.fault)
        else:
            self._note_best(record.loss, now)
        wanted = self._settings.metrics
        log.metrics.extend(
            (self._metrics.name_of(name), value, now, 0)
            for name, value in record.metrics
            if wanted is None or name == self._words.result or name in wanted
        )
        for name, why in record.left_out:
            self._attempts.note(f"{name!r:.100} of trial {tid} is not a number that a metric can have", why)

    def _note_best(self, loss: float | None, now: int) -> None:
        if loss is None or math.isnan(loss):
            return
        self._finished += 1
        self._best = loss if self._best is None else min(self._best, loss)
        name = self._name(f"best_{self._words.result}")
        self._writer.put(Log(None, metrics=[(name, self._sign * self._best, now, self._finished)]))

    # At its end.

    def close(self, summary: SearchSummary, status: str, waiting: Callable[[int], None]) -> None:
        """Say how the study has ended, and wait until everything is written.

        Args:
            summary: of its trials.
            status: of the study's run, if it is its own: FINISHED, FAILED or KILLED.
            waiting: called about once a second with the number of records that are left.
        """
        if forks.is_child():
            return  # it has come out of an algorithm, say; the study and its run are the parent's
        try:
            with self._attempts.at("how the search has ended"):
                self._write_summary(summary)
            for tid in sorted(self._open - (self._unmade.keys() - self._begun.keys())):
                self._writer.put(End(tid, "KILLED", _now()))  # an interrupt came while its end was recorded
        finally:
            try:
                self._writer.close(waiting, End(None, status, _now()) if self._own else None)
            finally:
                self._relay.close()
                self._leave_main(status, self._writer.has_given_up)
                self._attempts.tell()

    def _write_summary(self, summary: SearchSummary) -> None:
        now = _now()
        params: dict[str, str] = {}
        metrics: list[Metric] = [
            (self._name(f"{kind}_trials_count"), float(count), now, 0)
            for kind, count in summary.counts.items()
        ]
        tags = {}
        best = summary.best
        if best is not None and best.loss is not None:
            metrics.append((self._name(f"best_trial_{self._words.result}"), best.loss, now, 0))
            tags[self._name("best_trial_tid")] = str(best.tid)
            with self._attempts.at("the parameters of the best trial"):
                for label, text in self._space.values(best.values).items():
                    name = self._best_params.name_of(f"best.{label}")
                    params[self._name(name)] = storable(text)
        self._writer.put(Log(None, params, metrics, tags))
        for file, document in summary.documents.items():
            with self._attempts.at(file):
                self._put(file, _bytes(as_json(document())))
        with self._attempts.at("the pictures of the search"):
            self._draw(summary)

    def _draw(self, summary: SearchSummary) -> None:
        if find_spec("matplotlib") is None:
            return  # MLflow brings it, mlflow-skinny does not
        from sparkopt.tracking.pictures import pictures_of

        spent = time.monotonic() - self._started
        for name, picture in pictures_of(summary, self._words.result, self._sign < 0, spent):
            with self._attempts.at(f"the picture {name}"):
                self._put(name, picture())

    def _take_main(self, uri: str, name: str) -> Exception | None:
        """Find the study's run, or start one, and return what the store has raised."""
        main = None
        try:
            active = mlflow.active_run()
            self._own = active is None
            wanted = self._settings.experiment
            experiment = None if wanted is None else experiment_id(uri, wanted)
            # The variable names a run that somebody has made: it would be renamed.
            given = None if MLFLOW_RUN_ID.get() else name
            main = active or mlflow.start_run(run_name=given, experiment_id=experiment)
            self._main = str(main.info.run_id)
            if experiment not in (None, main.info.experiment_id):
                raise TrackingError(
                    f"run {main.info.run_id} is active, and belongs to another experiment than"
                    f" {wanted!r}, which Tracking(experiment=...) asks for. End that run,"
                    " or leave the experiment out"
                )
            if self._settings.artifacts == "direct":
                check_direct(versions.direct_address(main.info.artifact_uri, uri))
            self._store = Store(uri, main.info.experiment_id, self._main, artifacts=main.info.artifact_uri)
            self._known = self._store.client.get_run(self._main).data
        except Exception as error:  # noqa: BLE001 - what stores raise is theirs to choose
            if main is not None:
                self._leave_main("FAILED")
            return error
        return None

    def _leave_main(self, status: str, gone: bool = False) -> None:
        """The study's own run is the active one no more; it ends, unless the store is gone."""
        active = mlflow.active_run()
        if self._own and active is not None and active.info.run_id == self._main:
            if gone:
                versions.leave_run()
                return
            # MLflow prints the address of the run, with the password that is in it.
            quiet: Any = MaskedStream(sys.stdout, self._uri) if is_secret(self._uri) else sys.stdout
            try:
                with contextlib.redirect_stdout(quiet):
                    mlflow.end_run(status)
            except Exception as error:  # noqa: BLE001 - the writer has warned of what the store did not take
                reason = mask(f"{type(error).__name__}: {error}", self._uri)
                _LOG.info("study's run stays open", run=self._main, reason=reason)


def _load_pictures() -> None:
    # What cannot be loaded is told when it is to draw.
    if find_spec("matplotlib") is not None:
        with contextlib.suppress(Exception):
            import_module("sparkopt.tracking.pictures")


def _now() -> int:
    return _milliseconds(time.time())


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")
