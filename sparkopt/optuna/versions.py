"""Private parts of Optuna that sparkopt uses, as 4.0 to 5.0 have them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

import optuna

_LARGEST: Final = 2**32


def own_seed(sampler: optuna.samplers.BaseSampler) -> int | None:
    """Return a number that depends on the seed that a sampler was made with; None if it has none.

    Optuna makes the generator of a sampler without a seed when it is first used. The sampler's state does not
    change.
    """
    for lazy in _generators(sampler):
        if (made := lazy._rng) is not None:
            return int(copy.deepcopy(made).randint(_LARGEST, dtype="uint32"))
    return None


def reseed(sampler: optuna.samplers.BaseSampler, seed: int) -> None:
    """Seed every generator of a sampler. One whose generators are not Optuna's is reseeded at random.

    Args:
        sampler: of any kind.
        seed: not negative.
    """
    found = [*_generators(sampler)]
    if not found:
        sampler.reseed_rng()
    seeds = random.Random(seed)
    for lazy in found:
        lazy.rng.seed(seeds.getrandbits(32))


def is_stop(error: RuntimeError) -> bool:
    """Returns whether a sampler has called ``study.stop``, which Optuna allows in its own loop only."""
    return "Study.stop" in str(error)


def was_stopped(study: optuna.Study) -> bool:
    """Returns whether ``study.stop`` ended the last loop of a study; True if this Optuna does not say."""
    return bool(getattr(study, "_stop_flag", True))


def _generators(sampler: optuna.samplers.BaseSampler) -> Iterator[Any]:
    """The generators of a sampler, and of its parts that are Optuna's, in an order that does not change."""
    seen, waiting = {id(sampler)}, [sampler]
    while waiting:
        for _, part in sorted(getattr(waiting.pop(0), "__dict__", {}).items()):
            if id(part) in seen:
                continue
            seen.add(id(part))
            if type(part).__name__ == "LazyRandomState":
                yield part
            elif type(part).__module__.partition(".")[0] == "optuna":
                waiting.append(part)
