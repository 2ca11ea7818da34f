"""Documents and random states as bytes of a journal, and back.

The journal keeps both for the front end and never looks inside.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkopt.errors import JournalError, RefusedError
from sparkopt.study import quarantine
from sparkopt.wire import codec

if TYPE_CHECKING:
    from sparkopt.hyperopt.documents import Document
    from sparkopt.study.journal import Entry, SavedState


def state_of(rstate: np.random.Generator) -> bytes:
    """Returns the state of a search's random numbers."""
    return pickle.dumps(rstate.bit_generator.state)


def document_of(entry: Entry, journal: object) -> Document:
    """Returns the document of a trial as it was proposed.

    Args:
        entry: what the journal has of the trial.
        journal: its path.

    Raises:
        JournalError: if this process cannot unpickle the document.
    """
    document: Document = _load(entry.own, f"the document of trial {entry.tid}", journal)
    return document


def restore(rstate: np.random.Generator, saved: SavedState, journal: object) -> None:
    """Go on with the random numbers of a journal's search.

    Args:
        rstate: the search's generator.
        saved: what the journal has.
        journal: its path.

    Raises:
        RefusedError: if that search had a generator of another kind.
        JournalError: if this process cannot unpickle the state.
    """
    state = _load(saved.value, f"the random state of trial {saved.tid}", journal)
    try:
        rstate.bit_generator.state = state
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedError(
            f"rstate is a generator of {type(rstate.bit_generator).__name__}, and the journal's search had"
            f" another kind ({error}): give the search an rstate of the kind that it began with"
        ) from error
    # Each proposal takes one number: those of trials whose states are damaged are not drawn again.
    for _ in range(saved.behind):
        rstate.integers(2**31 - 1)


def _load(data: bytes, what: str, journal: object) -> Any:
    try:
        try:
            return codec.loads_plain(data)
        except codec.NotPlainError:
            return quarantine.run(lambda: codec.loads(data))
    except Exception as error:
        raise JournalError(
            f"{what} in the journal {journal} cannot be unpickled in this process"
            f" ({type(error).__name__}: {error}), though it is what was written: run the search with the"
            " modules and versions that it began with, or name another file to start anew"
        ) from error
