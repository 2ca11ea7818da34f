"""The simulated worker and its stream: what workers of a pool do, without processes and networks.

It is honest: it holds on to its attempt through a cut, sends an outcome again until it is acknowledged,
answers cancels, obeys expulsions, and comes again with empty hands when it had no contact for longer than the
grace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkopt.core import commands as c
from sparkopt.core.states import Lease, Outcome

if TYPE_CHECKING:
    from tests.core.simulation import Simulation


class Stream:
    """One connection of one worker. What is sent arrives late and in order, until the stream breaks."""

    def __init__(self, world: Simulation, worker: Worker) -> None:
        self.worker = worker
        self.name, self.formerly = worker.name, worker.formerly
        self.acknowledged = 0
        self.broken = False
        self._world = world
        self._up = self._down = 0.0

    def to_shell(self, receive: Callable[..., None], *message: object) -> None:
        self._up = self._send(self._up, receive, message)

    def to_worker(self, command: c.Command | None) -> None:
        self._down = self._send(self._down, self.worker.receive, (self, command, self.acknowledged))

    def _send(self, last: float, receive: Callable[..., None], message: tuple[object, ...]) -> float:
        world = self._world
        arrival = max(last, world.now + world.delay())
        world.at(arrival, self._arrive, receive, message)
        return arrival

    def _arrive(self, receive: Callable[..., None], message: tuple[object, ...]) -> None:
        if not self.broken:
            receive(*message)

    def cut(self) -> None:
        """Break it. What is on its way is lost; each end sees it in its own time."""
        self.broken = True
        self._world.after(self._world.delay(), self.worker.stream_ended, self)
        self._world.after(self._world.delay(), self._world.stream_ended, self)

    def swallow(self) -> None:
        """Break it so that neither end sees it."""
        self.broken = True


class Worker:
    """A worker as the protocol wants it: holds on to its attempt, sends again, starts over in the end."""

    def __init__(
        self,
        world: Simulation,
        name: str,
        gang: int,
        generation: int,
        formerly: str | None = None,
        task_attempt: int = 0,
    ) -> None:
        self.name, self.gang, self.generation = name, gang, generation
        self.formerly = formerly
        self.task_attempt = task_attempt
        self.alive = True
        self.cut_off_until = 0.0
        self.stream: Stream | None = None
        self._world = world
        self._running: Lease | None = None
        self._next: Lease | None = None
        self._cancelled = False
        self._unacknowledged: tuple[Lease, Outcome, int] | None = None
        self._sequence = 0
        self._last_contact = world.now
        self._runs = 0

    # The stream.

    def connect(self) -> None:
        world = self._world
        if not self.alive or self.stream is not None:
            return
        if world.now - self._last_contact > world.machine.policy.grace:
            self._last_contact = world.now
            self._start_over()
        elif world.now < self.cut_off_until:
            world.after(world.random.uniform(0.5, 1.0), self.connect)
        else:
            stream = self.stream = Stream(world, self)
            kept = self._unacknowledged
            holding = self._next or self._running or (kept[0] if kept is not None else None)
            stream.to_shell(world.hello, stream, holding)
            if kept is not None and self._running is None:
                world.seen["sent again"] += 1
                stream.to_shell(world.outcome, stream, *kept)

    def beat(self) -> None:
        """Once a second: a heartbeat, unless the other end has been silent for too long."""
        if not self.alive:
            return
        world, stream = self._world, self.stream
        world.after(1.0, self.beat)
        if stream is not None and world.now - self._last_contact > world.machine.policy.grace / 3:
            stream.broken = True
            world.after(world.delay(), world.stream_ended, stream)
            self.stream_ended(stream)
        elif stream is not None:
            stream.to_shell(world.heartbeat, stream)

    def stream_ended(self, stream: Stream) -> None:
        if self.stream is stream:
            self.stream = None
            self._world.after(self._world.random.uniform(0.05, 1.0), self.connect)

    def lose_stream(self) -> None:
        if self.stream is not None:
            self.stream.cut()

    def receive(self, stream: Stream, command: c.Command | None, acknowledged: int) -> None:
        if not self.alive or self.stream is not stream:
            return
        self._last_contact = self._world.now
        if self._unacknowledged is not None and acknowledged >= self._unacknowledged[2]:
            self._unacknowledged = None
        match command:
            case c.Assign(_, lease):
                self._assigned(lease)
            case c.CancelAttempt(_, lease, _):
                self._cancel(lease)
            case c.PruneAttempt(_, lease, _):
                self._stop(lease)
            case c.Expel(_, _, again):
                if again:
                    self._start_over()
                else:
                    self.leave()

    # The attempt.

    def _assigned(self, lease: Lease) -> None:
        kept = self._unacknowledged
        if lease in (self._running, self._next) or (kept is not None and kept[0] == lease):
            return
        if self._running is not None:
            # A stale one, on its way out.
            assert self._cancelled, f"{self.name} was assigned {lease} while it runs {self._running}"
            self._next = lease
        else:
            self._start(lease)

    def _start(self, lease: Lease) -> None:
        self._running, self._cancelled, self._next = lease, False, None
        self._runs += 1
        world = self._world
        outcome = Outcome.OK if world.random.random() < 0.9 else Outcome.FAILED
        world.after(world.random.expovariate(1 / world.setup.trial), self._ended, self._runs, outcome)

    def _cancel(self, lease: Lease) -> None:
        if lease == self._running:
            self._cancelled = True
            self._world.after(self._world.delay(), self._ended, self._runs, Outcome.CANCELLED)
        elif lease == self._next:
            self._next = None
            self._report(lease, Outcome.CANCELLED)

    def _stop(self, lease: Lease) -> None:
        """The objective heeds the verdict at its next report, unless that was its last one."""
        if lease == self._running and self._world.random.random() < 0.8:
            self._world.after(self._world.random.uniform(0.01, 1.0), self._ended, self._runs, Outcome.PRUNED)

    def _ended(self, run: int, outcome: Outcome) -> None:
        if not self.alive or self._running is None or run != self._runs:
            return
        lease, self._running = self._running, None
        self._report(lease, outcome)
        if self._next is not None:
            self._start(self._next)

    def _report(self, lease: Lease, outcome: Outcome) -> None:
        self._world.ended.add((self.name, lease, outcome))
        self._sequence += 1
        self._unacknowledged = (lease, outcome, self._sequence)
        if self.stream is not None:
            self.stream.to_shell(self._world.outcome, self.stream, *self._unacknowledged)

    # The end.

    def _start_over(self) -> None:
        """Drop the attempt, which is another worker's by now, and come again under another name."""
        self._world.seen["gave up"] += 1
        self.formerly, self.name = self.name, f"{self.name}+"
        self._next = None
        if self._running is not None:
            self._cancel(self._running)
        if self.stream is not None:
            self.lose_stream()
        else:
            self.connect()

    def leave(self) -> None:
        """End the task and with it the stream, in good order."""
        self.alive = False
        self.lose_stream()
        self._world.worker_left(self)

    def die(self, *, seen: bool) -> None:
        """End without a word; ``seen`` if at least the stream ends."""
        self.alive = False
        if self.stream is not None:
            (self.stream.cut if seen else self.stream.swallow)()
        self._world.worker_left(self)
