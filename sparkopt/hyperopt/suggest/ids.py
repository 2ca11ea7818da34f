"""Values that hyperopt computes of the ids of the trials to come, and need not.

hyperopt draws for many ids at once, and keeps sets of them: which ones have come to a branch. Most of these
sets are all ids.
"""

from __future__ import annotations

from hyperopt import pyll


def what_is_known_of(ids: pyll.Apply, count: int, drawn: pyll.Apply) -> dict[pyll.Apply, pyll.Apply]:
    """Returns what need not be computed, and what to take for it.

    A union of several sets is computed even if all ids are in one of them: what is drawn on the way to the
    others would come later otherwise, and from another place of the random stream.

    Args:
        ids: of the trials to come, sorted.
        count: how many there are.
        drawn: an expression of the ids.
    """
    same: dict[pyll.Apply, pyll.Apply] = {}
    for node in pyll.dfs(drawn):
        inputs = {same.get(part, part) for part in node.inputs()}
        if node.name == "array_union" and len(inputs) == 1:
            same[node] = inputs.pop()
        elif node.name == "len" and inputs == {ids}:
            same[node] = pyll.Literal(count)
    return same
