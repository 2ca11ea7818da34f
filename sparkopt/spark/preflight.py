"""Refusals before anything is launched, each with a reason and a remedy."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from pyspark import Broadcast
from pyspark.sql import SparkSession

from sparkopt.errors import (
    LargeObjectiveWarning,
    NotPicklableError,
    SparkInObjectiveError,
    warn,
)
from sparkopt.spark import session as spark
from sparkopt.spark.driver_only import spark_use
from sparkopt.spark.references import find_largest, find_offender
from sparkopt.wire import sources
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.modules.imported_names import ModuleNames
from sparkopt.wire.modules.objective_archive import packed
from sparkopt.wire.modules.own_modules import OwnModules
from sparkopt.worker.broadcasts import EmbeddedBroadcast
from sparkopt.worker.shipped import ShippedObjective


@dataclass(frozen=True, slots=True)
class PickledObjective:
    """An objective, ready to be shipped.

    Attributes:
        data: its pickle.
        shipped: what workers get: the pickle, and the user's own modules that go along.
        broadcasts: the broadcast variables that it captured. Spark brings their values to the executors,
            if they are made known to it in the thread that launches the workers.
    """

    data: bytes
    shipped: bytes
    broadcasts: tuple[Any, ...] = field(default=())


_LOG: Final = ActorLog("study")

LARGE_BYTES: Final = 100_000_000
"""An objective that pickles to more than this is warned of."""


def pickle_objective(
    objective: Any,
    session: SparkSession,
    *,
    embed_broadcasts: bool = False,
    ship_modules: bool | tuple[str, ...] = True,
    beside: Iterable[Any] = (),
) -> PickledObjective:
    """Pickle an objective for workers, along with the user's own modules. Warns if it is very large.

    Args:
        objective: the user's, or what stands for it.
        session: where the workers run.
        embed_broadcasts: whether the values of broadcast variables travel with the objective, because the
            workers run already.
        ship_modules: whether the user's own modules that it imports go along; names of more of them.
        beside: what else workers will unpickle for it, such as the values of its arguments.

    Raises:
        ArgumentValueError: if a module that ``ship_modules`` names cannot be sent.
        SparkInObjectiveError: if it uses Spark itself.
        NotPicklableError: if it does not pickle; the message names the part.
    """
    # Messages name parts of what the user wrote, not of what wraps it.
    own = objective.fn if isinstance(objective, ShippedObjective) else objective
    names = ModuleNames()
    if use := spark_use(own):
        raise _spark_in_objective(use)
    with spark.broadcasts_pickled(session) as broadcasts:
        try:
            data = _dumps(objective, embed_broadcasts=embed_broadcasts, names=names)
        except SparkInObjectiveError:
            raise
        except Exception as error:
            offender = find_offender(own, _dumps)
            raise NotPicklableError(
                f"the objective cannot be sent to workers: it does not pickle because of {offender}"
                f" ({type(error).__name__}: {error}). Make that inside the objective, or pass what it is made"
                " from instead."
            ) from error
        if len(data) > LARGE_BYTES:
            _warn_of_size(own, len(data))
        captured = tuple(broadcasts())
    return PickledObjective(data, _with_modules(data, names, ship_modules, beside), captured)


def _with_modules(
    pickle: bytes, names: ModuleNames, ship_modules: bool | tuple[str, ...], beside: Iterable[Any]
) -> bytes:
    """Pack an objective with the user's own modules."""
    if ship_modules is False:
        return pickle
    for value in beside:
        with suppress(Exception):  # whoever sends it says what is wrong with it
            _dumps(value, names=names)
    modules = OwnModules(names.found, () if ship_modules is True else ship_modules)
    if modules.contents:
        _LOG.info("modules go along", names=", ".join(modules.contents), bytes=modules.size)
    for name, why in modules.withheld.items():
        _LOG.info("module does not go along", name=name, reason=why)
    return packed(pickle, modules)


def _warn_of_size(objective: Any, size: int) -> None:
    largest = ", ".join(
        f"{name} ({bytes_ / 2**20:,.0f} MiB)" for name, bytes_ in find_largest(objective, _dumps)
    )
    warn(
        f"the objective pickles to {size / 2**20:,.0f} MiB, which goes to every worker once; most of it is"
        f" {largest}. Capture a broadcast of it (spark.sparkContext.broadcast(...), used as .value in the"
        " objective), so that Spark brings it to each executor once, or load it inside the objective.",
        LargeObjectiveWarning,
    )


def _spark_in_objective(use: str) -> SparkInObjectiveError:
    return SparkInObjectiveError(
        f"the objective uses Spark itself: {use}. That works on the driver only, and sparkopt runs objectives"
        " on executors. For MLlib and other distributed training use hyperopt.fmin(...,"
        " trials=hyperopt.Trials()): one trial at a time, each on the whole cluster. If the objective only"
        " needs the data, collect it first (toPandas) and capture that, or a broadcast of it."
    )


class _Pickler(sources.Pickler):
    """Pickler of values for workers, which refuses Spark's own objects and may embed broadcast values."""

    embed_broadcasts = False
    names: ModuleNames | None = None

    def reducer_override(self, obj: object) -> Any:
        if use := spark_use(obj):
            raise _spark_in_objective(use)
        if self.names is not None:
            self.names.note(obj)
        if self.embed_broadcasts and isinstance(obj, Broadcast):
            return EmbeddedBroadcast, (obj.value,)
        return super().reducer_override(obj)


def _dumps(value: object, *, embed_broadcasts: bool = False, names: ModuleNames | None = None) -> bytes:
    with io.BytesIO() as stream:
        pickler = _Pickler(stream)
        pickler.embed_broadcasts, pickler.names = embed_broadcasts, names
        pickler.dump(value)
        return stream.getvalue()
