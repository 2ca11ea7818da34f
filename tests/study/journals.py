"""Journals without a search: made by the calls of one, damaged at random, and compared with the truth."""

from __future__ import annotations

import dataclasses
import pickle
import random
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from sparkopt.coordinator import Payload, Reported, Settled, Started
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, JournalWarning, RefusedError
from sparkopt.study.journal import Identity, Journal, open_journal
from sparkopt.wire import codec
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2

IDENTITY = Identity("hp.uniform('x', 0, 1)", "tests.objective", "tests.algorithm")

REPORTS = (ReportKind.CHECKPOINT, ReportKind.ATTACHMENT)


def document(tid):
    return {"tid": tid, "misc": {"vals": {"x": [tid / 7]}}, "state": 0}


def rstate(number):
    return {"bit_generator": "PCG64", "state": {"state": 2**100 + number}}


@dataclass
class Truth:
    """Record of everything that was written to a journal.

    Attributes:
        entries: everything about each trial, by trial.
        history: each write, in order: a trial, and whether it had settled by then.
    """

    entries: dict = field(default_factory=dict)
    history: list = field(default_factory=list)

    def has_been(self, trials, settled):
        """Whether the journal held just these once."""
        there, ended = set(), set()
        for tid, done in [(None, False), *self.history]:
            if tid is not None:
                (ended if done else there).add(tid)
            if there == trials and ended == settled:
                return True
        return False


def result_of(tid):
    """Pickled; of every ninth trial so large that it takes several pages."""
    return pickle.dumps({"loss": tid / 3, "note": "n" * (9000 if tid % 9 == 4 else 40)})


def write(journal, truth, tids, blobs):
    """Have a journal hear of trials: submitted, started, some of them reporting, settled, in three ways."""
    for tid in tids:
        journal.submitted([(tid, codec.dumps(document(tid)))], pickle.dumps(rstate(tid)))
        truth.history.append((tid, False))
        journal.started(Started(tid, 1, 1000.25 + tid, 0.0))
        reports = []
        for number in range(tid % 3):
            value = pickle.dumps([tid, number, "r" * 60])
            body = value
            if tid % 10 == 5:
                body = blobs / f"{tid}-{number}"
                body.write_bytes(value)
            kind = REPORTS[number % 2]
            journal.reported(Reported(tid, kind, f"name {number}", Payload(body)))
            reports.append((kind, f"name {number}", value))
        outcome, result, reason, failure = Outcome.OK, result_of(tid), "", None
        if tid % 8 == 3:
            outcome, result, failure = (
                Outcome.FAILED,
                None,
                trial_pb2.Failure(type="ValueError", traceback=f"of {tid}"),
            )
            reason = f"of {tid}"
        elif tid % 8 == 6:
            outcome, result, reason = Outcome.LOST, None, f"{tid} was lost"
        payload = None if result is None else Payload(result)
        if tid % 10 == 7 and result is not None:
            file = blobs / f"result-{tid}"
            file.write_bytes(result)
            payload = Payload(file)
        journal.settled(settled(tid, outcome, payload, reason, failure))
        truth.history.append((tid, True))
        truth.entries[tid] = (
            *(document(tid), 1000.25 + tid, outcome, result, "ValueError" if failure else "", reason),
            tuple(reports),
        )


def settled(tid, outcome, result, reason, failure):
    return Settled(
        tid=tid, outcome=outcome, attempt=1, reason=reason, result=result, failure=failure, seconds=0.1
    )


def make(directory, trials=60, first=0):
    """A journal that was closed, and one whose driver was killed; the truth of both, by their names."""
    directory.mkdir(exist_ok=True)
    blobs = directory / "blobs"
    blobs.mkdir()
    truths = {}
    for name in ("closed", "killed"):
        truths[name] = truth = Truth()
        half, path = first + trials // 2, directory / "open"
        for tids in (range(first, half), range(half, first + trials)):
            # The second time begins with a journal that holds something, and its log with nothing.
            journal = Journal(path)
            journal.check(IDENTITY)
            write(journal, truth, tids, blobs)
            if name == "killed":
                _copy(path, directory / name)
            journal.close()
        if name == "closed":
            _copy(path, directory / name)
        for left in directory.glob("open*"):
            (shutil.rmtree if left.is_dir() else Path.unlink)(left)
    shutil.rmtree(blobs)
    return truths


def _copy(path, target):
    """Copy a journal with all that belongs to it."""
    for suffix in ("", "-wal"):
        source, copy = path.with_name(path.name + suffix), target.with_name(target.name + suffix)
        copy.unlink(missing_ok=True)
        if source.exists():
            shutil.copyfile(source, copy)
    files = path.with_name(f"{path.name}-files")
    if files.exists():
        shutil.copytree(files, target.with_name(f"{target.name}-files"), dirs_exist_ok=True)


def copied(source, directory):
    """A copy of a journal to damage."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    _copy(source, directory / "journal")
    return directory / "journal"


def damage(path, chance):
    """Damage a journal, its log or a file beside it at one place; say how."""
    parts = [path, path.with_name(f"{path.name}-wal")] * 5
    parts += chance.sample(sorted(path.with_name(f"{path.name}-files").glob("*")) or [path], 1)
    return damage_part(chance.choice([part for part in parts if part.exists()]), chance)


def damage_part(part, chance):
    """Damage a file at one place; say how."""
    data = bytearray(part.read_bytes())
    at, length = chance.randrange(len(data)), chance.choice((1, 8, 100, 5000))
    how = chance.choice(("flip", "flip", "zeros", "noise", "truncate", "insert", "cut out"))
    match how:
        case "flip":
            data[at] ^= 1 << chance.randrange(8)
        case "zeros":
            data[at : at + length] = bytes(len(data[at : at + length]))
        case "noise":
            data[at : at + length] = chance.randbytes(len(data[at : at + length]))
        case "truncate":
            del data[at:]
        case "insert":
            data[at:at] = chance.randbytes(length)
        case "cut out":
            del data[at : at + length]
    part.write_bytes(data)
    return f"{how} at {at} of {part.name} ({length} bytes)"


def told_of(path):
    """Opens a journal as a search does, and returns its entries, random state and messages.

    Raises:
        Exception: any exception that the journal must not raise.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            journal = open_journal(path)
            try:
                journal.check(IDENTITY)
                assert all(issubclass(each.category, JournalWarning) for each in told)
                entries = [_read(entry) for entry in journal.take_entries()]
                return entries, journal.state(), [str(each.message) for each in told]
            finally:
                journal.close()
        except (JournalError, RefusedError) as error:
            said = str(error)
    assert str(path) in said
    return None, None, [said]


def _read(entry):
    """An entry with all that it has in files, which may be gone with its journal."""
    reports = tuple(dataclasses.replace(each, body=_in_memory(each.body)) for each in entry.reports)
    return dataclasses.replace(entry, result=_in_memory(entry.result), reports=reports)


def _in_memory(payload):
    if payload is None or isinstance(payload.body, bytes):
        return payload
    return Payload(payload.body.read_bytes())


def compare(path, truth, killed):
    """Check that nothing but the truth is in a journal, and that what is missing is told."""
    entries, state, told = told_of(path)
    if entries is None:
        return "refused"
    ended, there = set(), set()
    for entry in entries:
        tid = entry.tid
        assert tid not in there
        there.add(tid)
        true = truth.entries[tid]
        assert codec.loads(entry.own) == true[0]
        assert entry.started in (None, true[1])
        if entry.outcome is None:
            continue
        ended.add(tid)
        result = entry.result.body if entry.result is not None else None
        found = (
            *(codec.loads(entry.own), true[1], entry.outcome),
            *(result, entry.kind, entry.reason),
            tuple((each.kind, each.name, each.body.body) for each in entry.reports),
        )
        assert found == true
    if entries:
        submitted = [entry.tid for entry in entries]
        assert state is None or pickle.loads(state.value) == rstate(submitted[-1 - state.behind])
    if ended == {*truth.entries}:
        return "whole"
    assert told or (killed and truth.has_been(there, ended)), "it is not told that something is missing"
    if told and there != {*truth.entries}:
        return "some lost"
    return "some run again" if told else "as it once was"


def strike(directory, truths, seed, scratch):
    """Damage a journal once; say how, and what became of it."""
    chance = random.Random(seed)
    name = chance.choice(sorted(truths))
    path = copied(directory / name, scratch)
    how = damage(path, chance)
    try:
        became = compare(path, truths[name], name == "killed")
    except BaseException as error:
        error.args = (f"seed {seed}, {name}: {how}", *error.args)
        raise
    # What was made of it is whole.
    if became != "refused":
        entries, _, told = told_of(path)
        # Of a file beside it that is damaged, it is told until the trial has run.
        assert all(" are gone from " in each for each in told), f"seed {seed}, {name}: {how}: again: {told}"
        assert all(codec.loads(entry.own) == truths[name].entries[entry.tid][0] for entry in entries)
    return f"{name}: {how}", became


def listing(directory):
    """Every file below a directory, with its bytes and times."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in directory.rglob("*")
        if path.is_file()
    }


def log_of(path):
    return path.with_name(f"{path.name}-wal")
