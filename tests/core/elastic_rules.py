"""Checker of the rules by which an elastic pool is staffed, for the checker of the other rules to use.

8.  As many workers are here to stay, or were asked for, as are wanted: one for each trial that has not
    settled, up to the parallelism. None is asked for beyond that. Only a pause, the wait after a failure and
    the end of the pool leave any out.
9.  A seat has one job at a time: its next generation is launched once the one before has ended. A job is
    withdrawn once, while no worker of it is here.
10. A launch that nobody waits for does not stay: at the end of the pool, and once nothing more is to come, it
    is withdrawn at once.

It keeps its own record of jobs, from events and commands, so as not to take the fleet's word for it.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkopt.core.commands import Command, LaunchGang, WithdrawGang
from sparkopt.core.events import Event, GangEnded, WorkerJoined
from sparkopt.core.machine import Machine
from sparkopt.core.states import WorkerState


class StaffingChecker:
    """Holds an elastic machine to the rules on its workers.

    Args:
        machine: it, before its first event.
        hold: called with whether a rule holds, its number, and a text for when it does not.
    """

    def __init__(self, machine: Machine, hold: Callable[[bool, int, str], None]) -> None:
        self._machine = machine
        self._hold = hold
        self._generations: dict[int, int] = {}
        self._jobs: dict[int, int] = {}
        self._waiting: set[int] = set()
        self._withdrawn: set[int] = set()

    def after(self, event: Event, commands: list[Command], now: float) -> None:
        """Check the rules after a step."""
        self._note(event)
        launches = False
        for command in commands:
            if isinstance(command, LaunchGang):
                launches = True
                self._check_launch(command)
            elif isinstance(command, WithdrawGang):
                self._check_withdrawal(command)
        self._check_numbers(launches, now)

    def _note(self, event: Event) -> None:
        if isinstance(event, GangEnded) and self._jobs.get(event.gang) == event.generation:
            del self._jobs[event.gang]
            self._waiting.discard(event.gang)
            self._withdrawn.discard(event.gang)
        elif isinstance(event, WorkerJoined):
            taken = event.worker in self._machine.workers
            if taken and self._jobs.get(event.gang) == event.generation:
                self._waiting.discard(event.gang)

    def _check_launch(self, command: LaunchGang) -> None:
        gang, generation = command.gang, command.generation
        self._hold(gang not in self._jobs, 9, f"{command} though its job has not ended")
        self._hold(command.size == 1, 9, f"{command} of more than one worker")
        last = self._generations.get(gang, 0)
        self._hold(generation == last + 1, 9, f"{command} follows generation {last}")
        self._generations[gang] = self._jobs[gang] = generation
        self._waiting.add(gang)

    def _check_withdrawal(self, command: WithdrawGang) -> None:
        gang = command.gang
        self._hold(self._jobs.get(gang) == command.generation, 9, f"{command} of no job that there is")
        self._hold(gang not in self._withdrawn, 9, f"{command} was withdrawn before")
        there = [
            name
            for name, worker in self._machine.workers.items()
            if worker.gang == gang and worker.state is not WorkerState.GONE
        ]
        self._hold(not there, 9, f"{command} though {there} is here")
        self._withdrawn.add(gang)
        self._waiting.discard(gang)

    def _check_numbers(self, launches: bool, now: float) -> None:
        machine = self._machine
        staying = 0
        for worker in machine.workers.values():  # Once for all: this is done after every event.
            if worker.draining is None and worker.state is not WorkerState.GONE:
                staying += 1
        there = staying + len(self._waiting)
        what = f"{staying} workers stay and {len(self._waiting)} were asked for, {machine.wanted} are wanted"
        self._hold(machine.waiting == len(self._waiting), 8, f"{machine.waiting} wait by the fleet: {what}")
        self._hold(not launches or there <= machine.wanted, 8, f"launched too many: {what}")
        ending = machine.shut_down or machine.draining is not None
        if not (machine.paused or ending or now < machine.gangs.resumes):
            self._hold(there >= machine.wanted, 8, f"too few: {what}")
        if ending or machine.all_submitted:
            needless = max(0, there - machine.wanted)
            self._hold(not (needless and self._waiting), 10, f"a launch is kept: {what}")
