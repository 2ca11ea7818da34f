"""A search space, and the points in it, as text that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from hyperopt import pyll

_OPTION_CHARACTERS: Final = 250
_INDENT: Final = "  "
_NOT_FOR_READERS: Final = frozenset({"rng", "size"})


class ReadableSpace:
    """A space in words.

    Attributes:
        text: the whole space, a line for each part.
        options: for each label of an ``hp.choice`` or ``hp.pchoice``, its options in words.

    Args:
        expression: of the space.
    """

    def __init__(self, expression: pyll.Apply) -> None:
        self.text = "\n".join(_lines(expression)) + "\n"
        self.options: dict[str, list[str]] = {
            _label(node.pos_args[0]): [_brief(option) for option in node.pos_args[1:]]
            for node in pyll.dfs(expression)
            if _is_choice(node)
        }
        labels = {_label(node) for node in pyll.dfs(expression) if node.name == "hyperopt_param"}
        self._indices = {label: _free(f"{label}.index", labels) for label in self.options}

    def values(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The parameters of a point: what is drawn, in words.

        Of a choice both are there: the option by the label, and its index, which is what hyperopt has by the
        label, as ``<label>.index``.

        Args:
            values: by the labels that are active in the point.
        """
        words: dict[str, str] = {}
        for label, value in values.items():
            if label not in self.options:
                words[label] = _value(value)
                continue
            options = self.options[label]
            if value in range(len(options)):
                index = int(value)
                words[label] = options[index]
                words[self._indices[label]] = str(index)
            else:
                words[self._indices[label]] = str(value)
        return words


def _free(name: str, taken: set[str]) -> str:
    """A name that is not among those taken."""
    while name in taken:
        name = f"{name}_"
    return name


def _is_choice(node: Any) -> bool:
    return bool(node.name == "switch" and node.pos_args[0].name == "hyperopt_param")


def _label(parameter: Any) -> str:
    return str(parameter.arg["label"].obj)


def _value(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    try:
        if callable(value):
            return str(getattr(value, "__qualname__", None) or value)
        return repr(value)
    except Exception as error:  # noqa: BLE001 - an option is the user's object, and has its own say here
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


def _brief(option: Any) -> str:
    """An option in a few words: its constants, without the hyperparameters in it."""
    text = _value(_constants(option))
    return text if len(text) <= _OPTION_CHARACTERS else f"{text[: _OPTION_CHARACTERS - 1]}…"


def _constants(node: Any) -> Any:
    """Returns the part of an option that does not depend on draws; of one such value, that value."""
    if isinstance(node, pyll.Literal):
        return node.obj
    if node.name == "dict":
        found = {name: _constants(part) for name, part in node.named_args if not _depends(part)}
        return next(iter(found.values())) if len(found) == 1 else found or _expression(node)
    if node.name == "pos_args":
        parts = [_constants(part) for part in node.pos_args if not _depends(part)]
        return parts[0] if len(parts) == 1 else parts or _expression(node)
    return _expression(node)


def _depends(node: Any) -> bool:
    return any(part.name == "hyperopt_param" for part in pyll.dfs(node))


def _lines(node: Any, prefix: str = "", depth: int = 0) -> list[str]:
    """A part of the space, with what it begins with, and what is in it below."""
    indent = _INDENT * depth
    if _is_choice(node):
        parameter = node.pos_args[0]
        drawn = parameter.arg["obj"]
        weights = f", p={_expression(drawn.pos_args[0])}" if drawn.name == "categorical" else ""
        lines = [f"{indent}{prefix}{_label(parameter)}: one of {len(node.pos_args) - 1}{weights}"]
        for index, option in enumerate(node.pos_args[1:]):
            lines += _lines(option, f"[{index}] ", depth + 1)
        return lines
    if node.name == "dict" and node.named_args:
        return [f"{indent}{prefix}".rstrip()] * bool(prefix) + [
            line
            for name, part in node.named_args
            for line in _lines(part, f"{name} = ", depth + bool(prefix))
        ]
    if node.name == "pos_args" and node.pos_args:
        return [f"{indent}{prefix}".rstrip()] * bool(prefix) + [
            line for part in node.pos_args for line in _lines(part, "- ", depth + bool(prefix))
        ]
    return [f"{indent}{prefix}{_expression(node)}"]


def _expression(node: Any) -> str:
    """A part of the space in a line."""
    if isinstance(node, pyll.Literal):
        return repr(node.obj) if isinstance(node.obj, str) else _value(node.obj)
    if node.name == "hyperopt_param":
        return f"{_label(node)}: {_expression(node.arg['obj'])}"
    if node.name == "float" and node.pos_args[0].name == "hyperopt_param":
        return _expression(node.pos_args[0])
    parts = [_expression(part) for part in node.pos_args]
    parts += [f"{name}={_expression(part)}" for name, part in node.named_args if name not in _NOT_FOR_READERS]
    if node.name == "pos_args":
        return f"[{', '.join(parts)}]"
    return f"{node.name}({', '.join(parts)})"
