"""hyperopt's Ctrl on a worker, for objectives that ask for it.

An ordinary objective gets a point that the driver has evaluated. One that is marked with
``fmin_pass_expr_memo_ctrl`` gets the space, its own values and a :class:`hyperopt.Ctrl`, and so does a space
that contains one. Those are evaluated on the worker, which has to import hyperopt for it:

    driver   document ──▶ argument
    worker   ControlledObjective.run ──▶ fn(expr, memo, ctrl)
                                              ctrl.checkpoint(result)    ──▶ report ──▶ the document's result
                                              ctrl.attachments[k] = v    ──▶ report ──▶ trials.attachments
                                              ctrl.inject_results(...)   ──▶ report ──▶ new documents
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hyperopt import base, pyll
from hyperopt.utils import coarse_utcnow, use_obj_for_literal_in_memo

from sparkopt.hyperopt.documents import Document
from sparkopt.hyperopt.space import parameters_of
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.worker.reports import Reporter, ReportingObjective

__wraps_objectives__ = True


@dataclass(frozen=True)
class ControlledObjective(ReportingObjective):
    """An objective that gets a Ctrl.

    Attributes:
        fn: the user's objective.
        expression: the space.
        raw: whether the objective takes the space, the values and the Ctrl, rather than a point.
    """

    fn: Callable[..., Any]
    expression: pyll.Apply
    raw: bool

    def run(self, argument: Document, reporter: Reporter) -> Any:
        """Evaluate the trial of a document."""
        argument["state"] = base.JOB_STATE_RUNNING
        argument["book_time"] = argument["refresh_time"] = coarse_utcnow()
        ctrl = WorkerCtrl(argument, reporter)
        values = argument["misc"]["vals"]
        memo = {
            node: found[0] if (found := values.get(label)) else pyll.base.GarbageCollected
            for node, label in parameters_of(self.expression)
        }
        use_obj_for_literal_in_memo(self.expression, ctrl, base.Ctrl, memo)
        if self.raw:
            return self.fn(expr=self.expression, memo=memo, ctrl=ctrl)
        return self.fn(pyll.rec_eval(self.expression, memo=memo, print_node_on_error=False))


class WorkerCtrl(base.Ctrl):  # type: ignore[misc]
    """A Ctrl whose ``trials`` hold the trial at hand alone, and that tells the driver of every change.

    Each call returns once the change is on its way to the driver; it arrives even if the trial fails later.

    Args:
        document: of the trial.
        reporter: the way to the driver.
    """

    def __init__(self, document: Document, reporter: Reporter) -> None:
        trials = base.Trials()
        trials.insert_trial_docs([document])
        trials.attachments = _Attachments(reporter)
        trials.refresh()
        super().__init__(trials, current_trial=trials.trials[0])
        self._reporter = reporter

    def checkpoint(self, r: Any = None) -> None:
        """Make this the trial's result as long as it has no other; see :meth:`hyperopt.Ctrl.checkpoint`."""
        super().checkpoint(r)
        if r is not None:
            self._reporter.report(ReportKind.CHECKPOINT, r)

    def inject_results(self, specs: Any, results: Any, miscs: Any, new_tids: Any = None) -> None:
        """Add trials that need not run any more; see :meth:`hyperopt.Ctrl.inject_results`.

        The driver gives them their ids, so that, other than with hyperopt, these are not returned.
        """
        self._reporter.report(ReportKind.INJECTION, (specs, results, miscs, new_tids))


class _Attachments(UserDict[str, Any]):
    """The attachments that this attempt has made; every change goes to the driver as well."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._reporter.report(ReportKind.ATTACHMENT, value, name)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._reporter.report(ReportKind.DETACHMENT, None, name)
