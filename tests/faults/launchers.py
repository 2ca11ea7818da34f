"""The two ways to launch workers, for faults that have to cost the same with both."""

from __future__ import annotations

import pytest

both_launchers = pytest.mark.parametrize(
    "elastic", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["barrier", "elastic"]
)
"""Barrier jobs, and elastic workers, which are in the slow suite where they differ in the launcher alone."""
