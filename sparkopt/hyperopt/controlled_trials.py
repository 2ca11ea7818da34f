"""Control of trials while a search runs on them: its control service, and its dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sparkopt.control import Control
from sparkopt.control.dashboard_process import DashboardProcess, check_dashboard
from sparkopt.errors import PoolClosedError, RefusedError
from sparkopt.hyperopt.trial_counts import TrialCounts
from sparkopt.pool.worker_pool import WorkerPool


class ControlledTrials(TrialCounts):
    """Trials with a control service while a search runs.

    Attributes:
        control: how each search is opened to control; None if it is not.
    """

    control: Control | None
    pool: WorkerPool | None
    _running: list[WorkerPool]
    _dashboard_listens: str | None = None
    _dashboards: list[DashboardProcess]
    """At most one. Shared, as the list of pools is, with views of these trials."""

    def _open_to_control(self, control: bool | str | Control | None, dashboard: bool | str) -> None:
        """Take the arguments of that name.

        Raises:
            RefusedError: if they make no sense.
        """
        self.control = Control.of(control)
        self._dashboard_listens = check_dashboard(dashboard)
        if self._dashboard_listens is not None and self.control is None and self.pool is None:
            if control is False:
                raise RefusedError("dashboard follows the search's control service: leave control=False out")
            self.control = Control()

    @property
    def control_address(self) -> str:
        """``host:port`` of the control service of the search that runs, for other threads and callbacks.

        Raises:
            PoolClosedError: if no search runs, or it is not open to control.
        """
        return self._controlled_pool().control_address

    @property
    def control_token(self) -> str:
        """Token for calls that may do anything.

        Raises:
            PoolClosedError: if no search runs, or it is not open to control.
        """
        return self._controlled_pool().control_token

    @property
    def dashboard_link(self) -> str | None:
        """Address of the dashboard, with the key that lets a browser act; None if there is none.

        It is there from the first search with ``dashboard=True`` on, until :meth:`close_dashboard`.
        """
        return self._dashboards[0].link() if self._dashboards else None

    def close_dashboard(self) -> None:
        """End the dashboard. The next search begins another one. Idempotent."""
        while self._dashboards:
            self._dashboards.pop().close()

    def _controlled_pool(self) -> WorkerPool:
        running = [*self._running]
        if not running:
            raise PoolClosedError(
                "no search runs on these trials: ask for the control service while fmin runs, from another"
                " thread or a callback"
            )
        return running[0]

    @contextmanager
    def running_on(self, pool: WorkerPool) -> Iterator[None]:
        """Make the pool of the search that runs known, for as long as it runs."""
        self._running.append(pool)
        try:
            if self._dashboard_listens is None:
                yield
                return
            with self._shown_on(pool, self._dashboard_listens):
                yield
        finally:
            self._running.remove(pool)

    @contextmanager
    def _shown_on(self, pool: WorkerPool, listen: str) -> Iterator[None]:
        address, token, certificate = pool.control_address, pool.control_token, pool.control_certificate
        announcing = None
        if not self._dashboards:
            self._dashboards.append(DashboardProcess(listen))
            announcing = self._dashboards[0].announce()
        self._dashboards[0].follow(address, token, certificate)
        try:
            yield
            # A search may be over before the dashboard is up.
            self._dashboards[0].wait_until_it_follows()
        finally:
            if announcing is not None:
                announcing.join()
