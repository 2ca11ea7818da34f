"""Warnings that save a day: searches that are less clever than they look."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hyperopt import rand, tpe

from sparkopt.errors import ParallelismWarning, warn


def advise_on_parallelism(parallelism: int, trials: int, algo: Callable[..., Any]) -> None:
    """Warn if so many trials run at once that one of hyperopt's algorithms learns nothing from them.

    Args:
        parallelism: how many run at once.
        trials: how many are to be proposed.
        algo: hyperopt's ``algo``.
    """
    inner, keywords = _unwrapped(algo)
    module = str(getattr(inner, "__module__", ""))
    if parallelism < 2 or inner is rand.suggest or not module.startswith("hyperopt."):
        return
    if trials <= parallelism:
        warn(
            f"all {trials} trials are proposed before the first has finished, because {parallelism} run at"
            f" once: {module} learns from none, so this is random search. Set a smaller parallelism, about a"
            " tenth of max_evals, or more max_evals.",
            ParallelismWarning,
        )
        return
    if inner is tpe.suggest:
        start_up = keywords.get("n_startup_jobs", tpe._default_n_startup_jobs)
        if isinstance(start_up, (int, float)) and parallelism >= start_up:
            warn(
                f"{parallelism} trials run at once, and TPE starts with {start_up} random ones: when its"
                " first suggestion is made, few or none have finished. Set parallelism to less than"
                f" {start_up}, or have TPE wait: functools.partial(tpe.suggest, n_startup_jobs=...).",
                ParallelismWarning,
            )


def _unwrapped(algo: Callable[..., Any]) -> tuple[Any, dict[str, Any]]:
    """The function inside partials, and the keywords that they give it."""
    keywords: dict[str, Any] = {}
    inner: Any = algo
    while isinstance(inner, functools.partial):
        keywords = {**inner.keywords, **keywords}
        inner = inner.func
    return inner, keywords
