"""A store of objects in memory whose puts are torn, late or repeated, and drivers that die at any point."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sparkopt.study.journal.segments.object_format import LARGE, Sealing
from sparkopt.study.journal.segments.segment_log import (
    Delete,
    Get,
    ListLarge,
    ListNames,
    Put,
    SegmentLog,
    TakenOverError,
    read,
)

WHOLE = b"a large object"


def snapshot_of(body):
    """Makes the object of a snapshot."""

    def make(part, journal, chain):
        sealing = Sealing(part, journal, chain)
        return sealing.head() + sealing.add(body) + sealing.tail()[0]

    return make


def records(bodies):
    """The numbers that bodies hold."""
    return [int(line.split(b":")[0]) for body in bodies for line in body.split()]


def large_objects(body):
    """The names of the large objects that a body names."""
    return {line.split(b":")[1].decode() for line in body.split() if b":" in line}


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
                return sorted(name for name in self.objects if not name.startswith(LARGE))
            case ListLarge():
                return sorted(self.large())
            case Delete(names):
                for name in names:
                    self.objects.pop(name, None)
        return None

    def large(self):
        """The names of the large objects, without their prefix."""
        return {name.removeprefix(LARGE) for name in self.objects if name.startswith(LARGE)}

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

    To every third number belongs a large object, which is put before the segment that names it.

    Args:
        world: counts records, and hears of what counts.
    """

    def __init__(self, world):
        self.world = world
        self.log = SegmentLog(f"{world.chance.randrange(2**32):08x}")
        self.there = []
        self.written = b""
        self.has_swept = False
        self.steps = self.run()
        self.request = next(self.steps)
        self.under_way = self.repeats = False

    def run(self):
        chance = self.world.chance
        known = {}
        if chance.random() < 0.5:
            yield from read(known)

        def first(reading, epoch):
            assert not reading.damage, reading.damage
            self.written = b"".join(reading.bodies)
            self.there = records([self.written])
            self.fresh = b""
            return b""

        yield from self.log.open(known, b"claim", f"journal {chance.random()}", first)
        self.counted()
        yield from self.log.sweep(large_objects(self.written))
        self.has_swept = True
        while chance.random() < 0.9:
            body = self.new()
            for name in sorted(large_objects(body)):
                yield Put(f"{LARGE}{name}", WHOLE)
            yield from self.log.commit(body)
            self.counted()
            if chance.random() < 0.25:
                yield from self.log.snapshot(snapshot_of(self.written))
                yield from self.log.clean()
        yield from self.log.close()

    def new(self):
        numbers = [self.world.number() for _ in range(self.world.chance.randrange(3))]
        epoch = str(self.log.epoch).encode()
        self.fresh = b"".join(
            b"%d\n" % number if number % 3 else b"%d:%s-result-%d\n" % (number, epoch, number)
            for number in numbers
        )
        return self.fresh

    def counted(self):
        """The last segment counts, so everything that has counted for anybody must be before it."""
        self.written += self.fresh
        self.there = records([self.written])
        self.world.counts(self.there, large_objects(self.written))


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

    def counts(self, there, large):
        assert there[: len(self.counted)] == self.counted, (there, self.counted)
        self.counted = there
        for name in large:
            assert self.store.objects.get(f"{LARGE}{name}") == WHOLE, name

    def run(self, kills):
        """Go on until so many drivers were killed; then see that a last one finds everything."""
        while self.ends["killed"] < kills:
            self.step()
        self.drivers.clear()
        last = Driver(self)
        while not last.has_swept:
            self.advance(last, self.store.perform(last.request))
        assert self.store.large() == large_objects(last.written)
        return self.ends

    def step(self):
        chance, store = self.chance, self.store
        if not self.drivers or (len(self.drivers) < 3 and chance.random() < 0.03):
            self.drivers.append(Driver(self))
        if chance.random() < 0.1:
            store.land()
        driver = chance.choice(self.drivers)
        request, luck = driver.request, chance.random()
        if driver.repeats and isinstance(request, Put) and store.objects.get(request.name) == request.data:
            # It looks before it puts something once more.
            self.advance(driver, None)
            return
        if luck < 0.06:
            fate = chance.choice((store.perform, store.perform_in_part, store.late.append, lambda _: None))
            fate(request)
            self.drivers.remove(driver)
            self.ends["killed"] += 1
        elif luck < 0.12:
            # It fails, and is made again: it may have happened all the same, or will.
            driver.repeats = True
            chance.choice((store.perform, store.late.append, lambda _: None))(request)
        elif luck < 0.3 and not driver.under_way and isinstance(request, Put):
            driver.under_way = True  # others see what there is of it so far
            store.perform_in_part(request)
        else:
            self.advance(driver, store.perform(request))

    def advance(self, driver, answer):
        driver.under_way = driver.repeats = False
        try:
            driver.request = driver.steps.send(answer)
            return
        except StopIteration:
            self.ends["closed"] += 1
        except TakenOverError:
            self.ends["taken over"] += 1
        self.drivers.remove(driver)
