"""Results of trials: from what an objective has returned to what a document holds.

    Payload ──▶ plain values only? ──yes──▶ read here
                       └──no──▶ read in a thread of its own (quarantine.py)
                                         │
                                         ▼
             Result: hyperopt's fields, the loss and the metrics as floats, attachments by their names

A search calls methods of a returned object only here. The parts of a Result that other code reads are exact
floats and strings, so that reading them runs no code of the user's.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hyperopt import base

from sparkopt.errors import RemoteTraceback
from sparkopt.study import quarantine
from sparkopt.study.quarantine import ForeignError, Patience
from sparkopt.wire.arguments import shown

if TYPE_CHECKING:
    from sparkopt.coordinator import Payload

VALUE_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    Warning,
    pickle.PickleError,
)
"""Whatever plain values raise that are not a result. Other errors here are from a handler of a signal."""

_LOSS: Final = "loss"
_EXPECTED: Final = "a number, or a dictionary such as {'status': 'ok', 'loss': 0.5}"
_STATUS: Final = "status"
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Result:
    """Result that a trial's objective returned.

    Attributes:
        fields: hyperopt's dictionary.
        loss: a number, NaN perhaps; None if there is none.
        metrics: the names and values of the numbers in the dictionary.
        left_out: the names of those that no float can hold, each with the reason.
        attachments: by the name that they have among the attachments of all trials.
    """

    fields: dict[Any, Any]
    loss: float | None
    metrics: Sequence[tuple[str, float]]
    left_out: Sequence[tuple[str, str]]
    attachments: Mapping[str, Any]


class NoResultError(ForeignError):
    """An objective returned a value that is not a result. The text is the reason, then hyperopt's error."""

    def __init__(self, error: Exception, reason: str) -> None:
        super().__init__(error)
        self.traceback = RemoteTraceback(f"{reason}\n\n{self.traceback.text}")


def read_result(
    payload: Payload | None, domain: base.Domain, name_of: Callable[[Any], str], patience: Patience
) -> Result:
    """Read a result.

    Args:
        payload: the pickled result; None if the objective has returned None.
        domain: tells what is a result.
        name_of: returns the name under which an attachment of this trial is kept among those of all trials.
        patience: how long it may take.

    Raises:
        ForeignError: what code of the user's has raised; a :class:`NoResultError` if that is not a result.
        Exception: one of :data:`VALUE_ERRORS`.
    """

    def read(raw: Any) -> Result:
        if type(raw) is float:
            # By far the most frequent result, as hyperopt makes it.
            return Result({_LOSS: raw, _STATUS: base.STATUS_OK}, raw, ((_LOSS, raw),), (), _NONE)
        try:
            _refuse_complex(raw)
            # The control object is for attachments only, and these are named here.
            fields = domain.evaluate_async2(raw, None, attach_attachments=False)
        except VALUE_ERRORS as error:
            raise NoResultError(error, no_result(raw)) from error
        attached = fields.pop("attachments", _NONE)
        fields, loss = checked(fields)
        metrics, left_out = _numbers(fields)
        try:
            attachments = {name_of(name): value for name, value in attached.items()}
        except VALUE_ERRORS as error:
            raise NoResultError(error, _no_attachments(attached)) from error
        return Result(fields, loss, metrics, left_out, attachments)

    return quarantine.load(payload, read, patience)


def _refuse_complex(raw: Any) -> None:
    """Refuse a complex number as the loss: a float would drop its imaginary part."""
    loss = raw.get(_LOSS) if type(raw) is dict else raw
    if type(loss) is not float and isinstance(loss, (complex, np.complexfloating)):
        raise TypeError("a complex number has no order")


def no_result(raw: Any) -> str:
    """Describes why an objective's return value is not a result, and what is expected.

    Args:
        raw: the return value: neither a number nor a dictionary that hyperopt accepts.
    """
    if raw is None:
        return f"the objective returned None: did it forget to return its loss? It must return {_EXPECTED}."
    if not isinstance(raw, Mapping):
        hint = " An array of one number becomes one with float(...)." if hasattr(raw, "dtype") else ""
        return f"the objective returned {shown(raw)}: it must return {_EXPECTED}.{hint}"
    if _STATUS not in raw:
        wrong = f"without {_STATUS!r}, with {shown(sorted(map(str, raw)))}"
    elif raw[_STATUS] not in base.STATUS_STRINGS:
        wrong = f"with the status {shown(raw[_STATUS])}, which is neither 'ok' nor 'fail'"
    elif _LOSS not in raw:
        wrong = f"with the status {raw[_STATUS]!r} and without {_LOSS!r}"
    else:
        wrong = f"with the loss {shown(raw[_LOSS])}, which is not a number"
    return f"the objective returned a dictionary {wrong}: it must return {_EXPECTED}."


def _no_attachments(raw: Any) -> str:
    return (
        f"the objective returned a dictionary with the attachments {shown(raw)}, which are not a dictionary"
        f" of values by their names: it must return {_EXPECTED}."
    )


def checked(fields: Mapping[Any, Any]) -> tuple[dict[Any, Any], float | None]:
    """A result's fields, with a status and a loss that algorithms can take, and the loss.

    Args:
        fields: hyperopt's dictionary, also one that is not complete yet.

    Raises:
        ValueError: if there is a loss that is not a number.
        Exception: what the fields' own code raises.
    """
    known = dict(fields)
    for each in known:
        if type(each) is not str:
            # Those that everybody looks for come first: a name of the user's may compare equal to anything.
            known = {name: known[name] for name in (_STATUS, _LOSS) if name in known} | known
            break
    status, loss = known.get(_STATUS), known.get(_LOSS)
    if status is not None and type(status) is not str:
        known[_STATUS] = next((each for each in base.STATUS_STRINGS if each == status), str(status))
    if loss is None:
        return known, None
    if type(loss) is float:
        return known, loss
    try:
        number = float(loss)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"the result has the loss {loss!r:.100}, which is not a number that a float can hold ({error}):"
            " return one, or leave the loss out and say that the status is 'fail'"
        ) from error
    if type(loss) is not int and not _is_numpys_number(loss):
        known[_LOSS] = number
    return known, number


def _is_numpys_number(value: Any) -> bool:
    kind = type(value)
    return kind.__module__ == "numpy" and issubclass(kind, (np.floating, np.integer, np.bool_))


def _numbers(fields: Mapping[Any, Any]) -> tuple[list[tuple[str, float]], list[tuple[str, str]]]:
    """The fields that are numbers, and those that no float can hold, each with the reason."""
    found: list[tuple[str, float]] = []
    left_out: list[tuple[str, str]] = []
    texts = _Texts(fields)
    for name, value in fields.items():
        kind = type(value)
        if kind is float:
            found.append((texts.of(name), value))
        elif kind is int or (kind is not str and _is_number(value)):
            try:
                found.append((texts.of(name), float(value)))
            except Exception as error:  # noqa: BLE001 - the value's own conversion
                left_out.append((texts.of(name), f"{type(error).__name__}: {error}"))
    return found, left_out


class _Texts:
    """Names as text: 3 and "3" are two of them."""

    def __init__(self, names: Iterable[Any]) -> None:
        self._names = names
        self._taken: set[str] | None = None

    def of(self, name: Any) -> str:
        """The text of a name; it is not of some type of the user's that is derived from text."""
        if type(name) is str:
            return name
        if self._taken is None:
            self._taken = {each for each in self._names if type(each) is str}
        text = "".join((str(name),))
        while text in self._taken:
            text = f"{text} ({type(name).__name__})"
        self._taken.add(text)
        return text


def _is_number(value: Any) -> bool:
    """Returns whether a value means one real number: a scalar, or an array without dimensions."""
    if isinstance(value, (bool, np.bool_, str, bytes, np.timedelta64, np.datetime64, np.complexfloating)):
        return False
    if isinstance(value, (Real, Decimal, np.number)):
        return True
    dimensions = getattr(value, "shape", None)
    kind = getattr(getattr(value, "dtype", None), "kind", "f")
    return isinstance(dimensions, Sequence) and not len(dimensions) and kind in "iuf"
