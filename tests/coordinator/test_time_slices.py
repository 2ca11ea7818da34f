"""Long work in time slices lets other calls run in between, and other long work as well."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sparkopt.coordinator.transport import time_slices
from sparkopt.coordinator.transport.time_slices import SLICE_SECONDS, TimeSlices


class Clock:
    """Goes on by itself with every look at it."""

    def __init__(self, step: float) -> None:
        self.now, self._step = 0.0, step

    def monotonic(self) -> float:
        self.now += self._step
        return self.now


@pytest.mark.parametrize(("step", "turns"), [(2 * SLICE_SECONDS, 10), (SLICE_SECONDS / 100, 0)])
def test_others_have_their_turn_when_a_piece_is_long_enough(monkeypatch, step, turns):
    monkeypatch.setattr(time_slices, "time", Clock(step))
    had = 0

    async def other() -> None:
        nonlocal had
        while True:
            had += 1
            await asyncio.sleep(0)

    async def work() -> int:
        beside = asyncio.ensure_future(other())
        async with TimeSlices().begin() as time_slice:
            for _ in range(10):
                await time_slice.breathe()
        beside.cancel()
        return had

    assert asyncio.run(work()) == turns


def test_one_request_after_another():
    order = []

    async def work(slices: TimeSlices, name: str) -> None:
        async with slices.begin():
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    async def both() -> None:
        slices = TimeSlices()
        await asyncio.gather(work(slices, "a"), work(slices, "b"))

    asyncio.run(both())
    assert order == ["a", "a", "b", "b"]


def test_what_cannot_be_cut_is_done_by_one_other_thread_at_a_time():
    busy = threading.Lock()

    def work(number: int) -> tuple[int, bool]:
        assert busy.acquire(blocking=False)
        busy.release()
        return number, threading.current_thread() is not threading.main_thread()

    async def all_of_them() -> list[tuple[int, bool]]:
        slices = TimeSlices()
        return await asyncio.gather(*(slices.in_thread(work, number) for number in range(20)))

    assert asyncio.run(all_of_them()) == [(number, True) for number in range(20)]
