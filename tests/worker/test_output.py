"""Whatever an evaluator writes is in the executor's log, each line with its own trial in front."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop

from sparkopt.worker.output import LINE_BYTES, Lines, Output
from tests.worker import talk

SECONDS = 30
MIB = 2**20


def test_every_way_to_write_gets_there_in_order(evaluate, capfd):
    evaluate.use(talk.in_turn)
    evaluate("one", "two")
    assert capfd.readouterr().err.splitlines() == [
        f"[trial {number}] {text}"
        for number, word in ((1, "one"), (2, "two"))
        for text in (
            f"{word} printed",
            f"WARNING:root:{word} logged",
            "from C",
            "from a child",
            "straight to 1",
            f"{word} to standard error",
        )
    ]


@pytest.mark.parametrize("how", ["printed", "C", "killed", b"half"], ids=str)
def test_a_line_without_an_end_ends_with_its_trial(evaluate, capfd, how):
    evaluate.use(talk.half_a_line)
    evaluate(how, how)
    assert capfd.readouterr().err == "[trial 1] half\n[trial 2] half\n"


def test_bytes_pass_as_they_are(evaluate, capfdbinary):
    evaluate.use(talk.half_a_line)
    evaluate(b"\xff\0\xfe\n\n\xc3")
    assert capfdbinary.readouterr().err == b"[trial 1] \xff\0\xfe\n[trial 1] \n[trial 1] \xc3\n"


def test_megabytes_get_there(evaluate, capfd):
    lines = 50_000
    evaluate.use(talk.much)
    evaluate(lines, 1)
    said = capfd.readouterr().err.splitlines()
    assert said[:-1] == [f"[trial 1] {number} {'x' * 80}" for number in range(lines)]
    assert said[-1] == f"[trial 2] 0 {'x' * 80}"


@pytest.mark.parametrize("dies", [False, True])
def test_megabytes_without_an_end_of_line_are_cut_into_lines(evaluate, capfd, dies):
    size = 3 * MIB + 5
    evaluate.use(talk.garbage)
    answers = evaluate((size, False, dies), (1, False, False))
    assert [answer.kind for answer in answers] == ["ended" if dies else "result", "result"]
    *whole, rest, after = capfd.readouterr().err.splitlines()
    assert whole == ["[trial 1] " + "x" * LINE_BYTES] * (size // LINE_BYTES)
    assert (rest, after) == ("[trial 1] xxxxx", "[trial 2] x")


@pytest.mark.parametrize("dies", [False, True])
def test_megabytes_of_garbage_pass_as_they_are(evaluate, capfdbinary, dies):
    size = 2 * MIB
    evaluate.use(talk.garbage)
    answers = evaluate((size, True, dies), (0, True, False))
    assert [answer.kind for answer in answers] == ["ended" if dies else "result", "result"]
    first, *lines, last = (bytes(range(256)) * (size // 256)).split(b"\n")
    said = [b"[trial 1] " + line + b"\n" for line in (first, *lines, last)]
    assert capfdbinary.readouterr().err == b"".join(said)


@pytest.mark.parametrize("deed", ["close", "replace"])
def test_what_a_trial_does_to_the_streams_ends_with_it(evaluate, capfd, deed):
    evaluate.use(talk.mistreat_the_streams)
    assert [answer.kind for answer in evaluate(deed, "use")] == ["result", "result"]
    assert capfd.readouterr().err == "[trial 2] out\n[trial 2] \\udcff\n"


def test_an_evaluator_has_its_streams_and_its_socket_and_nothing_else(evaluate):
    evaluate.use(talk.descriptors)
    (answer,) = evaluate("look")
    found = answer.load()
    pipes = {number for number, target in found.items() if target.startswith("pipe:")}
    sockets = {number for number, target in found.items() if target.startswith("socket:")}
    assert {1, 2} < pipes
    assert len({found[number] for number in pipes}) == 1
    (kept,), (home,) = pipes - {1, 2}, sockets
    assert min(kept, home) > 900
    others = {target for number, target in found.items() if number not in pipes | sockets}
    assert others == {os.devnull}


# Lines.


def test_a_line_that_is_too_long_is_cut():
    lines = Lines()
    lines.label = "me"
    text = b"x" * (2 * LINE_BYTES + 1)
    whole = b"[me] " + b"x" * LINE_BYTES + b"\n"
    assert lines.feed(text + b"\n" + text[:LINE_BYTES] + b"\n") == 2 * whole + b"[me] x\n" + whole
    assert lines.feed(text[:LINE_BYTES]) == b""
    assert lines.feed(text[:LINE_BYTES]) == whole
    assert lines.feed(b"x") == whole
    assert lines.end() == b"[me] x\n"
    assert lines.end() == b""


def test_lines_may_come_in_pieces():
    lines = Lines()
    pieces = [lines.feed(piece) for piece in (b"a", b"b\nc", b"\n", b"\n", b"d")]
    ahead = b"[between trials] "
    assert pieces == [b"", ahead + b"ab\n", ahead + b"c\n", ahead + b"\n", b""]


# Output, between two pipes of the test's.


class Pipes:
    """An evaluator's end, the log's end, and what lies between."""

    def __init__(self) -> None:
        pipe, self.evaluator = os.pipe()
        self.log, log = os.pipe()
        os.set_blocking(self.evaluator, False)
        os.set_blocking(self.log, False)
        self._ends = [self.evaluator, self.log, log]
        self.output = Output(pipe, log)

    def close_end(self, end: int) -> None:
        os.close(end)
        self._ends.remove(end)

    def close(self) -> None:
        for end in self._ends:
            os.close(end)

    def write(self, data: bytes) -> int:
        with suppress(BlockingIOError):
            return os.write(self.evaluator, data)
        return 0

    def read(self) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self.log, MIB)
        return b""


@asynccontextmanager
async def pipes():
    between = Pipes()
    between.output.start()
    try:
        yield between
    finally:
        between.output.stop()
        between.output.close()
        between.close()


def run(main):
    uvloop.run(asyncio.wait_for(main(), SECONDS))


def test_a_change_of_trial_parts_what_is_in_the_pipe():
    async def main():
        async with pipes() as between:
            between.write(b"first\nhalf")
            await between.output.begin("trial 1")
            between.write(b"second\nhalf")
            between.output.end()
            between.write(b"third\nhalf")
            await between.output.begin("trial 2, attempt 2")
            assert between.read() == (
                b"[between trials] first\n[between trials] half\n[trial 1] second\n[trial 1] half\n"
                b"[between trials] third\n[between trials] half\n"
            )
            between.write(b"fourth")
            between.output.end()
            assert between.read() == b"[trial 2, attempt 2] fourth\n"

    run(main)


def test_a_log_that_takes_nothing_slows_down_the_writer_only():
    line = b"x" * 99 + b"\n"

    async def main():
        async with pipes() as between:
            await between.output.begin("trial 1")
            written = 0
            for _ in range(500):
                written += between.write(40 * line)  # few enough to be written whole
                await asyncio.sleep(0)  # the event loop goes on
            assert 0 < written < MIB // 2
            between.output.end()
            waiting = asyncio.ensure_future(between.output.begin("trial 2"))
            await asyncio.sleep(0)
            assert not waiting.done()
            read = b""
            while not waiting.done():
                read += between.read()
                await asyncio.sleep(0)
            between.write(b"next\n")
            between.output.end()
            read += between.read()
            assert read == written // 100 * (b"[trial 1] " + line) + b"[trial 2] next\n"

    run(main)


def test_a_line_of_our_own_is_whole_whatever_a_trial_has_begun():
    async def main():
        async with pipes() as between:
            await between.output.begin("trial 1")
            between.write(b"first\nhalf")
            between.output.say("our own")
            between.write(b" a line\n")
            between.output.end()
            read = between.read()
            assert read.replace(b"our own\n", b"") == b"[trial 1] first\n[trial 1] half a line\n"
            assert b"our own" in read.splitlines()

    run(main)


def test_lines_of_our_own_are_left_out_while_the_log_takes_nothing():
    async def main():
        async with pipes() as between:
            for number in range(2000):
                between.output.say(f"{number} {'x' * 999}")  # it would never return if it waited
            read = []
            while data := between.read():
                read.append(data)
                await asyncio.sleep(0)
            numbers = [int(line.split()[0]) for line in b"".join(read).splitlines()]
            assert 0 < len(numbers) < 500
            assert numbers == list(range(len(numbers)))
            between.output.say("again")
            assert between.read() == b"again\n"

    run(main)


def test_a_log_that_is_gone_holds_nobody_up():
    async def main():
        async with pipes() as between:
            between.close_end(between.log)
            for _ in range(10):
                between.write(b"x\n" * 10_000)
                between.output.end()
            await between.output.begin("trial 1")

    run(main)


def test_last_words_are_passed_on_when_the_loop_is_gone():
    between = Pipes()

    async def main():
        between.output.start()
        await between.output.begin("trial 1")
        between.output.stop()
        between.output.end()

    run(main)
    between.write(b"last words")
    between.output.close()
    assert between.read() == b"[trial 1] last words\n"
    between.close()


def test_writers_that_are_gone_keep_nobody_busy():
    async def main():
        async with pipes() as between:
            between.close_end(between.evaluator)
            for _ in range(10):
                await asyncio.sleep(0)
            assert not asyncio.get_running_loop().remove_reader(between.output._pipe)

    run(main)
