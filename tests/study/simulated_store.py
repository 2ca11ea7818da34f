"""A store of objects in memory whose puts are torn, late or repeated, and drivers that die at any point."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sparkopt.study.journal.segments.object_format import Sealing
from sparkopt.study.journal.segments.segment_log import (
    Delete,
    Get,
    ListNames,
    Put,
    SegmentLog,
    TakenOverError,
    read,
)


def snapshot_of(body):
    """Makes the object of a snapshot."""

    def make(part, journal, chain):
        sealing = Sealing(part, journal, chain)
        return sealing.head() + sealing.add(body) + sealing.tail()[0]

    return make


def records(bodies):
    """The numbers that bodies hold."""
    return [int(line) for body in bodies for line in body.split()]


@dataclass
class SimulatedStore:
    """Objects by name, and what is still under way to the store from drivers that have not heard of it."""

    chance: random.Random
    objects: dict = field(default_factory=dict)
    late: list = field(default_factory=list)

    def perform(self, request):
        match request:
            case Put(name, data):
                self.objects[name] = data
            case Get(names):
                return [self.objects.get(name) for name in names]
            case ListNames():
                return sorted(self.objects)
            case Delete(names):
                for name in names:
                    self.objects.pop(name, None)
        return None

    def perform_in_part(self, request):
        """What there is of a request whose driver was killed in the middle of it."""
        match request:
            case Put(name, data):
                self.objects[name] = data[: self.chance.randrange(len(data))]
            case Delete(names):
                for name in names:
                    if self.chance.random() < 0.5:
                        self.objects.pop(name, None)

    def land(self):
        """Have one of the late requests happen."""
        if self.late:
            self.perform(self.late.pop(self.chance.randrange(len(self.late))))


class Driver:
    """A driver: takes the log over, puts segments and snapshots, and says what it takes to count.

    Args:
        world: counts records, and hears of what counts.
    """

    def __init__(self, world):
        self.world = world
        self.log = SegmentLog(f"{world.chance.randrange(2**32):08x}")
        self.there = []
        self.written = b""
        self.steps = self.run()
        self.request = next(self.steps)
        self.under_way = False

    def run(self):
        chance = self.world.chance
        known = {}
        if chance.random() < 0.5:
            yield from read(known)

        def first(reading, epoch):
            assert not reading.damage, reading.damage
            self.written = b"".join(reading.bodies)
            self.there = records([self.written])
            return self.new()

        yield from self.log.open(known, b"claim", f"journal {chance.random()}", first)
        self.counted()
        while chance.random() < 0.9:
            body = self.new()
            yield from self.log.commit(body)
            self.counted()
            if chance.random() < 0.25:
                yield from self.log.snapshot(snapshot_of(self.written))
                yield from self.log.clean()
        yield from self.log.close()

    def new(self):
        count = self.world.chance.randrange(3)
        self.fresh = b"".join(b"%d\n" % self.world.number() for _ in range(count))
        return self.fresh

    def counted(self):
        """The last segment counts, so everything that has counted for anybody must be before it."""
        self.written += self.fresh
        self.there = records([self.written])
        self.world.counts(self.there)


class World:
    """Up to three drivers at a time on one store.

    Args:
        seed: of everything that happens by chance.
    """

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.store = SimulatedStore(self.chance)
        self.drivers = []
        self.counted = []
        self.last = 0
        self.ends = {"killed": 0, "taken over": 0, "closed": 0}

    def number(self):
        self.last += 1
        return self.last

    def counts(self, there):
        assert there[: len(self.counted)] == self.counted, (there, self.counted)
        self.counted = there

    def run(self, kills):
        """Go on until so many drivers were killed; then see that a last one finds everything."""
        while self.ends["killed"] < kills:
            self.step()
        self.drivers.clear()
        last = Driver(self)
        while self.log_is_opening(last):
            self.advance(last, self.store.perform(last.request))
        return self.ends

    def log_is_opening(self, driver):
        return driver.log.number == 0 or not driver.there

    def step(self):
        chance, store = self.chance, self.store
        if not self.drivers or (len(self.drivers) < 3 and chance.random() < 0.03):
            self.drivers.append(Driver(self))
        if chance.random() < 0.1:
            store.land()
        driver = chance.choice(self.drivers)
        request, luck = driver.request, chance.random()
        if luck < 0.06:
            fate = chance.choice((store.perform, store.perform_in_part, store.late.append, lambda _: None))
            fate(request)
            self.drivers.remove(driver)
            self.ends["killed"] += 1
        elif luck < 0.12:
            # It fails, and is made again: it may have happened all the same, or will.
            chance.choice((store.perform, store.late.append, lambda _: None))(request)
        elif luck < 0.3 and not driver.under_way and isinstance(request, Put):
            driver.under_way = True  # others see what there is of it so far
            store.perform_in_part(request)
        else:
            driver.under_way = False
            self.advance(driver, store.perform(request))

    def advance(self, driver, answer):
        try:
            driver.request = driver.steps.send(answer)
            return
        except StopIteration:
            self.ends["closed"] += 1
        except TakenOverError:
            self.ends["taken over"] += 1
        self.drivers.remove(driver)
