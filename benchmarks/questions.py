"""All questions, in the order in which they are asked and shown."""

from __future__ import annotations

from benchmarks.control import control
from benchmarks.elastic import elastic
from benchmarks.faults import faults
from benchmarks.footprint import footprint
from benchmarks.growth import growth
from benchmarks.journal import journal
from benchmarks.modelsearch import modelsearch
from benchmarks.optuna_studies import optuna
from benchmarks.overhead import overhead
from benchmarks.payload import payload
from benchmarks.pruning import pruning
from benchmarks.quality import quality
from benchmarks.question import Question
from benchmarks.startup import startup
from benchmarks.suggest import suggest
from benchmarks.time_to_loss import time_to_loss
from benchmarks.tracking import tracking
from benchmarks.tracking_server import tracking_server
from benchmarks.utilisation import utilisation
from benchmarks.verdicts import verdicts
from benchmarks.workers import workers

_ALL: tuple[Question, ...] = (
    overhead,
    growth,
    utilisation,
    payload,
    startup,
    suggest,
    quality,
    time_to_loss,
    workers,
    footprint,
    modelsearch,
    journal,
    tracking,
    tracking_server,
    control,
    faults,
    elastic,
    pruning,
    verdicts,
    optuna,
)

QUESTIONS: dict[str, Question] = {str(each.name): each for each in _ALL}
"""By name."""
