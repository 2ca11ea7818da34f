"""pyll expressions that are evaluated again and again.

``pyll.rec_eval`` looks through the whole expression each time, to learn what depends on what. A
:class:`Program` does that once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from hyperopt import pyll

from sparkopt.hyperopt.versions import switch_position

MISSING: Final = pyll.base.GarbageCollected
"""Stands for a value that is not given, and may not be asked for."""

_UNSET: Final = object()

_Values = list[Any]
_Reader = Callable[[_Values], Any]
_UNCHANGED: Final[Mapping[pyll.Apply, pyll.Apply]] = MappingProxyType({})

Instead = tuple[Callable[..., Any], Sequence[pyll.Apply]]
"""Another function for a node, and the nodes whose values it takes."""

_NOTHING: Final[Mapping[pyll.Apply, Instead]] = MappingProxyType({})


class Program:
    """A pyll expression, looked through once.

    A call gives what ``pyll.rec_eval`` gives, and calls the same functions in the same order: each node is
    evaluated once at most, its inputs from the last to the first, and of a ``switch`` the chosen branch
    alone. So random draws come in the same order too.

    Args:
        expression: what to evaluate.
        given: the nodes whose values each call is given.
        same: for nodes that need not be evaluated what to take for them: a given node, one of their
            inputs, or a literal.
        instead: for nodes that are evaluated in another way what to call for them, and with what: given nodes
            and inputs of theirs.
    """

    def __init__(
        self,
        expression: pyll.Apply,
        given: Sequence[pyll.Apply],
        same: Mapping[pyll.Apply, pyll.Apply] = _UNCHANGED,
        instead: Mapping[pyll.Apply, Instead] = _NOTHING,
    ) -> None:
        self._instead = instead
        self._constants: dict[_Reader, Any] = {}
        self._slots = {node: slot for slot, node in enumerate(given)}
        self._readers: dict[pyll.Apply, _Reader] = {
            node: _given(slot, node) for node, slot in self._slots.items()
        }
        for node in pyll.dfs(expression):  # inputs come before what they go into
            stand_in = same.get(node, node)
            if stand_in not in self._readers:
                self._readers[stand_in] = self._reader(stand_in)
            self._readers[node] = self._readers[stand_in]
        self._read = self._readers[expression]
        self._unset = [_UNSET] * (len(self._slots) - len(given))

    def __call__(self, *values: Any) -> Any:
        """Evaluate the expression.

        Args:
            values: of the given nodes, in their order; :data:`MISSING` for what there is none of.

        Raises:
            LookupError: if a value is needed that is missing.
            Exception: whatever the expression's functions raise.
        """
        return self._read([*values, *self._unset])

    def needed(self, *values: Any) -> set[int]:
        """The places of the given nodes whose values an evaluation asks for.

        Args:
            values: as for a call.

        Raises:
            Exception: as a call does.
        """
        watched = _Watched([*values, *self._unset])
        self._read(watched)
        return {place for place in watched.read if place < len(values)}

    def _reader(self, node: pyll.Apply) -> _Reader:
        if isinstance(node, pyll.Literal):
            reader = _constant(node.obj)
            self._constants[reader] = node.obj
            return reader
        slot = self._slots[node] = len(self._slots)
        if node in self._instead:
            function, taken = self._instead[node]
            return self._call(slot, function, [self._readers[part] for part in taken], [])
        inputs = [self._readers[part] for part in node.inputs()]
        if node.name == "switch":
            return _switch(slot, inputs[0], inputs[1:])
        names = [name for name, _ in node.named_args]
        return self._call(slot, pyll.scope._impls[node.name], inputs, names)

    def _call(
        self, slot: int, function: Callable[..., Any], inputs: list[_Reader], names: list[str]
    ) -> _Reader:
        template = [self._constants.get(reader) for reader in inputs]
        places = range(len(inputs) - 1, -1, -1)
        last_first = [(place, inputs[place]) for place in places if inputs[place] not in self._constants]
        positional = len(inputs) - len(names)

        def read(values: _Values) -> Any:
            value = values[slot]
            if value is _UNSET:
                arguments = template.copy()
                for place, read_input in last_first:
                    arguments[place] = read_input(values)
                if names:
                    named = dict(zip(names, arguments[positional:], strict=True))
                    value = function(*arguments[:positional], **named)
                else:
                    value = function(*arguments)
                if isinstance(value, pyll.Apply):
                    value = pyll.rec_eval(value, memo=self._known(values), print_node_on_error=False)
                values[slot] = value
            return value

        return read

    def _known(self, values: _Values) -> dict[pyll.Apply, Any]:
        """Returns what is evaluated by now, for an expression that another one has made."""
        return {node: values[slot] for node, slot in self._slots.items() if values[slot] is not _UNSET}


class _Watched(_Values):
    """Values that remember which of them were read."""

    def __init__(self, values: _Values) -> None:
        super().__init__(values)
        self.read: set[int] = set()

    def __getitem__(self, place: Any) -> Any:
        self.read.add(place)
        return super().__getitem__(place)


def _constant(value: Any) -> _Reader:
    return lambda values: value


def _given(slot: int, node: pyll.Apply) -> _Reader:
    def read(values: _Values) -> Any:
        value = values[slot]
        if value is MISSING:
            name = repr(node.arg["label"].obj) if node.name == "hyperopt_param" else str(node)
            raise LookupError(f"{name} is needed and has no value")
        return value

    return read


def _switch(slot: int, choice: _Reader, branches: list[_Reader]) -> _Reader:
    def read(values: _Values) -> Any:
        value = values[slot]
        if value is _UNSET:
            chosen = switch_position(choice(values))
            value = values[slot] = branches[chosen](values)
        return value

    return read
