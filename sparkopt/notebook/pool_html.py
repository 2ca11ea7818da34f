"""Pool of workers as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from sparkopt.notebook import markup


def pool_html(state: str, facts: Sequence[str], workers: Sequence[Sequence[str]]) -> str:
    """Makes the HTML of a pool.

    Args:
        state: of the pool, in a word or a few.
        facts: about the pool, each in a few words.
        workers: of each worker its name, its host, its state, and what it runs.
    """
    return markup.block(
        markup.listed([markup.strong(f"WorkerPool: {state}"), *map(markup.escaped, facts)]),
        markup.table(["worker", "host", "is", "runs"], workers) if workers else "",
    )
