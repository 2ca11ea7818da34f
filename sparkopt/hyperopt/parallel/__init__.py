"""``parallel_tpe``: TPE for many trials at once. Ours, not hyperopt's; its documents are hyperopt's.

    trials._dynamic_trials ──▶ evidence.py   rows, losses, which trials run
    domain ──▶ layout.py, axes.py            columns of a row, what is active, documents
                   │
               densities.py                  one around the good trials, one around all others
                   │
               suggestion.py                 the best of some points that were drawn

What it has other than hyperopt's TPE (Bergstra et al. 2011), and why, is in docs/decisions; what that is
worth is measured by ``python -m benchmarks quality``.
"""

from __future__ import annotations

from sparkopt.hyperopt.parallel.keywords import Keywords
from sparkopt.hyperopt.parallel.suggestion import ParallelTPE, parallel_tpe

__all__ = ["Keywords", "ParallelTPE", "parallel_tpe"]
