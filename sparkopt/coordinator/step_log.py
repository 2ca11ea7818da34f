"""Log of the coordinator's steps: events and commands of the machine as messages of `sparkopt.coordinator`.

At INFO what happens to workers, gangs and limits; at DEBUG what happens to trials. Heartbeats, reports,
requests and ticks that lead to nothing are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from sparkopt.core import commands, events
from sparkopt.core.machine import Machine
from sparkopt.core.states import Lease
from sparkopt.wire.actor_log import ActorLog, values_of

LOG: Final = ActorLog("coordinator")


def log_step(machine: Machine, event: events.Event, decided: Sequence[commands.Command]) -> None:
    """Log an event and the commands that followed from it, as far as the logger's level asks for them.

    Costs one look at the level while that is above INFO: it is called several times for each trial.
    """
    if not LOG.is_on(logging.INFO):
        return
    trials_too = LOG.is_on(logging.DEBUG)
    _log_event(event)
    if trials_too:
        _log_trials_event(event)
    for command in decided:
        _log_command(command)
        if trials_too:
            _log_trials_command(machine, command)


def _log_event(event: events.Event) -> None:
    match event:
        case events.WorkerJoined(worker, gang, generation, holding, formerly):
            more = {} if formerly is None else {"formerly": formerly}
            if holding is not None:
                more["holding"] = str(holding)
            LOG.info("worker said hello", worker=worker, gang=gang, generation=generation, **more)
        case events.StreamLost(worker):
            LOG.info("worker's stream ended", worker=worker)
        case events.WorkerGone(worker, reason):
            LOG.info("worker lost", worker=worker, reason=reason)
        case events.LossExplained(worker, preempted, reason):
            LOG.info("worker's loss explained", worker=worker, preempted=preempted, reason=reason)
        case events.GangLaunched(gang, size):
            LOG.info("gang is launched", gang=gang, size=size)
        case events.GangEnded(gang, generation, reason, lost, preempted):
            LOG.info(
                "gang ended",
                gang=gang,
                generation=generation,
                reason=reason,
                lost=",".join(lost),
                preempted=preempted,
            )
        case events.LimitChanged(limit):
            LOG.info("parallelism changed", parallelism=limit)
        case events.Paused():
            LOG.info("leasing paused")
        case events.Resumed():
            LOG.info("leasing resumed")
        case events.DrainRequested(None, reason):
            LOG.info("pool drains", reason=reason)
        case events.DrainRequested(worker, reason):
            LOG.info("worker drains", worker=worker, reason=reason)


def _log_command(command: commands.Command) -> None:
    match command:
        case commands.Expel(worker, reason, again):
            LOG.info("worker expelled", worker=worker, reason=reason, again=again)
        case commands.LaunchGang(gang, generation, size):
            what = "gang is launched again" if generation > 1 else "gang is launched"
            LOG.info(what, gang=gang, generation=generation, size=size)
        case commands.WithdrawGang(gang, generation):
            LOG.info("gang's launch is withdrawn", gang=gang, generation=generation)
        case commands.ShutDown(reason, failed):
            LOG.info("pool shuts down", reason=reason, failed=failed)


def _log_trials_event(event: events.Event) -> None:
    match event:
        case events.TrialsSubmitted(study, tids, max_attempts) if tids:
            LOG.debug(
                "trials submitted", study=study, trials=len(tids), first=tids[0], max_attempts=max_attempts
            )
        case events.PruneRequested(study, tid, reason):
            LOG.debug("prune asked for", study=study, trial=tid, reason=reason)
        case events.CancelRequested(study, tid, reason):
            LOG.debug("cancel asked for", study=study, trial="all" if tid is None else tid, reason=reason)
        case events.OutcomeArrived(worker, lease, outcome):
            LOG.debug("outcome arrived", **values_of(lease), worker=worker, outcome=outcome.value)


def _log_trials_command(machine: Machine, command: commands.Command) -> None:
    match command:
        case commands.Assign(worker, lease):
            record = machine.trials.get(lease.trial)
            charged = 0 if record is None else record.charged
            LOG.debug("attempt leased", **values_of(lease), worker=worker, charged=charged)
        case commands.PruneAttempt(worker, lease, reason):
            LOG.debug("attempt to stop as pruned", **values_of(lease), worker=worker, reason=reason)
        case commands.CancelAttempt(worker, lease, reason):
            LOG.debug("attempt cancelled", **values_of(lease), worker=worker, reason=reason)
        case commands.Settle(key, attempt, outcome, worker, reason):
            more = {"reason": reason} if reason else {}
            LOG.debug(
                "trial settled",
                **values_of(Lease(key, attempt)),
                outcome=outcome.value,
                worker=worker,
                **more,
            )
