"""Keywords of ``parallel_tpe``, named as those of ``hyperopt.tpe.suggest`` where they mean the same."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sparkopt.errors import ArgumentTypeError
from sparkopt.wire.arguments import check_whole, refuse_type, refuse_value


@dataclass(frozen=True, slots=True)
class Keywords:
    """Settings of a search.

    Attributes:
        n_startup_jobs: how many trials have to finish before there is a model; until then points are random.
        n_EI_candidates: how many points are drawn for each suggestion, of which the best is taken.
        gamma: the share of trials with a loss that are good.
        prior_weight: how much the prior counts, compared with a trial.
    """

    n_startup_jobs: int = 5
    n_EI_candidates: int = 64
    gamma: float = 0.1
    prior_weight: float = 1.0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Keywords:
        """Checked keywords.

        Raises:
            ArgumentTypeError: if there is one that means nothing here, or has no number.
            ArgumentValueError: if a number makes no sense.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ArgumentTypeError(
                f"parallel_tpe takes the keywords {', '.join(known)}, got {', '.join(unknown)}"
            )
        found = cls(**given)
        for name in ("n_startup_jobs", "n_EI_candidates"):
            check_whole(
                _named(name), given.get(name, getattr(cls(), name)), "a whole number, at least 1", least=1
            )
        _check_number("gamma", found.gamma, "a number above 0 and below 1", most=1.0)
        _check_number("prior_weight", found.prior_weight, "a number above 0")
        return found

    def good(self, count: int) -> int:
        """Number of good trials.

        Args:
            count: of trials that have a loss.
        """
        return max(1, min(count - 1, int(self.gamma * count)))


def _named(name: str) -> str:
    return f"parallel_tpe's {name}"


def _check_number(name: str, value: Any, expected: str, most: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        refuse_type(_named(name), value, expected)
    if not 0 < float(value) < most:
        refuse_value(_named(name), value, expected)
