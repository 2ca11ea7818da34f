"""Requests of trials on workers, answered with Optuna's own trial.

    request ──▶ Desk.answer: one of the methods of the trial's interface? ──▶ optuna.Trial ──▶ reply
                                                                                  └─ raised ──▶ reply

Nothing else can be called from a worker. All of it happens in the thread of Optuna's that runs the trial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sparkopt.study import quarantine
from sparkopt.study.quarantine import ForeignError
from sparkopt.wire import codec

if TYPE_CHECKING:
    from optuna.trial import Trial

_CHOICES: Final = 1_000
"""So many lists of choices are kept."""

_METHODS: Final = frozenset(
    {
        "report",
        "set_constraint",
        "set_system_attr",
        "set_user_attr",
        "should_prune",
    }
)
_UNIFORM: Final = frozenset({"suggest_discrete_uniform", "suggest_loguniform", "suggest_uniform"})
_ATTRIBUTES: Final = frozenset(
    {"constraints", "datetime_start", "distributions", "params", "system_attrs", "user_attrs"}
)


class Desk:
    """Answers requests of a study's trials. Any thread may ask."""

    def __init__(self) -> None:
        self._choices: dict[bytes, Sequence[Any]] = {}

    def answer(
        self, trial: Trial, method: str, body: bytes | Path, suggested: Callable[[str, Any], None]
    ) -> bytes:
        """Call a method of a trial.

        Args:
            trial: Optuna's own.
            method: its name.
            body: the pickled arguments; a file is removed.
            suggested: called with the name and the value of a parameter that was suggested.

        Returns:
            Whether the method has returned, and what it has returned or raised, pickled.
        """
        try:
            answer = True, self._call(trial, method, _arguments(body), suggested)
        except Exception as error:  # noqa: BLE001 - for the objective, which has called it
            answer = False, error
        try:
            return codec.dumps(answer)
        except Exception as error:  # noqa: BLE001 - what a value of the user's raises when it is pickled
            said = answer[1] if not answer[0] else error
            return codec.dumps((False, RuntimeError(f"{method}: {type(said).__name__}: {said}")))

    def _call(
        self, trial: Trial, method: str, arguments: tuple[Any, ...], suggested: Callable[[str, Any], None]
    ) -> Any:
        if method in ("suggest_float", "suggest_int"):
            name, low, high, step, log = arguments
            value = getattr(trial, method)(name, low, high, step=step, log=log)
            suggested(name, value)
            return value
        if method == "suggest_categorical":
            name, pickled = arguments
            choices = self._unpickled(pickled)
            value = trial.suggest_categorical(name, choices)
            suggested(name, value)
            index = _index(choices, value)
            return index, value if index is None else None
        if method in _UNIFORM:
            value = getattr(trial, method)(*arguments)
            suggested(arguments[0], value)
            return value
        if method in _METHODS:
            return getattr(trial, method)(*arguments)
        if method in _ATTRIBUTES and not arguments:
            return getattr(trial, method)
        if method == "study_user_attrs" and not arguments:
            return trial.study.user_attrs
        if method == "stop" and not arguments:
            return trial.study.stop()
        raise AttributeError(f"a trial on a worker cannot call {method[:100]!r}")

    def _unpickled(self, pickled: bytes) -> Sequence[Any]:
        """Choices; for the same bytes the same objects, as Optuna compares them with earlier trials'."""
        choices = self._choices.get(pickled)
        if choices is None:
            choices = _loads(pickled)
            if len(self._choices) < _CHOICES:
                choices = self._choices.setdefault(pickled, choices)
        return choices


def _index(choices: Sequence[Any], value: Any) -> int | None:
    """Index of a value among choices: 1, 1.0 and True are three of them."""
    for same in (
        lambda each: each is value,
        lambda each: type(each) is type(value) and each == value,
        lambda each: each == value,
    ):
        for index, each in enumerate(choices):
            if same(each) is True:
                return index
    return None


def _arguments(body: bytes | Path) -> tuple[Any, ...]:
    if isinstance(body, Path):
        path, body = body, body.read_bytes()
        path.unlink()
    arguments: tuple[Any, ...] = _loads(body)
    return arguments


def _loads(data: bytes) -> Any:
    """A pickled value; in a thread of its own, if code of the user's runs for it."""
    try:
        return codec.loads_plain(data)
    except codec.NotPlainError:
        pass
    try:
        return quarantine.run(lambda: codec.loads(data))
    except ForeignError as error:
        if isinstance(error.error, Exception):
            raise error.error from error
        raise
