"""Events of a pool as lines of text."""

from __future__ import annotations

from sparkopt.cli.printing import in_a_line, local, number, printable
from sparkopt.client import Event, TrialInfo


def line(event: Event) -> str:
    """An event in a line."""
    time = "" if event.time is None else local(event.time)
    return f"{time} {event.sequence} {event.kind} {_about(event)}".rstrip()


def _about(event: Event) -> str:
    if event.trial is not None:
        return _about_trial(event.trial)
    if event.worker is not None:
        host = f" on {event.worker.host}" if event.worker.host else ""
        return printable(f"{event.worker.name}{host}" + (f": {event.reason}" if event.reason else ""))
    if event.study is not None:
        return printable(event.study.name)
    if event.report is not None:
        report = event.report
        return printable(f"{report.study}/{report.tid} {report.kind} {report.name}")
    if event.value is not None:
        value = event.value
        return printable(f"{value.study}/{value.tid} {number(value.value)} at step {value.step}")
    return "" if event.parallelism is None else str(event.parallelism)


def _about_trial(trial: TrialInfo) -> str:
    words = [f"{trial.study}/{trial.tid}", trial.state]
    if trial.objective_values:
        values = ", ".join(map(number, trial.objective_values))
        words.append(f"{'value' if len(trial.objective_values) == 1 else 'values'} {values}")
    elif trial.loss is not None:
        words.append(f"loss {number(trial.loss)}")
    if trial.worker:
        words.append(f"on {trial.worker}")
    if trial.reason:
        words.append(trial.reason)
    return in_a_line(" ".join(words))
