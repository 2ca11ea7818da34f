"""Journals in S3: moto's server stands in for it, PyArrow's client is the real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest
from pyarrow import fs

from sparkopt.errors import JournalError, RefusedError
from sparkopt.study.journal import Identity, open_journal, places, shown
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from tests.study import journals
from tests.support.object_storage import object_storage
from tests.support.paths import python_path
from tests.support.processes import started
from tests.support.study_tools import make_fifos


@pytest.fixture(scope="module")
def s3():
    pytest.importorskip("moto")
    with object_storage() as address:
        yield address


def names(s3, path):
    found = s3.store.get_file_info(fs.FileSelector(f"searches/{path}"))
    return sorted(info.base_name for info in found if info.type is fs.FileType.File)


def settled(place):
    """The trials that have settled, as somebody has it who only looks."""
    with closing(open_journal(place)) as journal:
        return {entry.tid for entry in journal.take_entries() if entry.outcome is not None}


@pytest.fixture
def written(s3, tmp_path, request):
    """Writes trials, in two drivers, and returns their address and the truth."""

    def write(pace, trials=24):
        path, truth = f"{request.node.name}".replace("[", "-").replace("]", ""), journals.Truth()
        for first in (0, trials // 2):
            place = s3(path)
            with closing(SegmentJournal(places.store_of(place), shown(place), pace)) as journal:
                journal.check(journals.IDENTITY)
                for tid in range(first, first + trials // 2):
                    journals.write(journal, truth, [tid], tmp_path)
                    journal.until_kept()
        return path, truth

    return write


def test_what_was_written_is_there(s3, written):
    path, truth = written(Pace(large=5000))
    assert journals.told_of(s3(path))[2] == []
    assert journals.compare(s3(path), truth, False) == "whole"


def test_snapshots_take_the_place_of_segments(s3, written):
    path, truth = written(Pace(snapshot=5))
    counts = Counter(name.split("-")[0] for name in names(s3, path))
    assert counts["snapshot"] == 1
    assert counts["segment"] < 10
    assert journals.compare(s3(path), truth, False) == "whole"


def test_damage(s3, written):
    path, truth = written(Pace())
    victim = [name for name in names(s3, path) if name.startswith("segment")][5]
    with s3.store.open_output_stream(f"searches/{path}/{victim}") as stream:
        stream.write(b"nothing of ours")
    assert journals.compare(s3(path), truth, False) in ("some lost", "some run again")
    assert f"damaged-{victim}" in names(s3, path)
    assert journals.told_of(s3(path))[2] == []


def test_another_search(s3, written):
    path, _ = written(Pace(), trials=2)
    before = names(s3, path)
    with closing(open_journal(s3(path))) as journal, pytest.raises(RefusedError, match="another objective"):
        journal.check(Identity(journals.IDENTITY.space, "other", journals.IDENTITY.algorithm))
    assert names(s3, path) == before


def test_the_later_of_two_drivers_takes_over(s3):
    with closing(open_journal(s3("taken"))) as earlier:
        earlier.check(journals.IDENTITY)
        earlier.watch(lambda: None, lambda error: None)
        with closing(open_journal(s3("taken"))) as later:
            later.check(journals.IDENTITY)
        earlier.submitted([(0, b"own")], b"state")
        with pytest.raises(JournalError, match="taken over") as caught:
            earlier.until_kept()
    assert "hidden" not in str(caught.value)


def test_one_that_cannot_be_reached_is_named_without_its_password():
    address = "s3://me:hidden@bucket/a?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:9"
    with pytest.raises(JournalError, match=r"s3://\*\*\*@bucket/a") as caught:
        open_journal(address)
    assert "hidden" not in str(caught.value)


DRIVER = """
import sys
from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session
from tests.support.study_tools import CASE, in_order

place, journal = sys.argv[1:3]

def objective(case):
    import os
    case = int(case)
    os.close(os.open(f"{place}/ran-{case}-{os.urandom(4).hex()}", os.O_CREAT))
    for stop in (20, 40):
        if case in (stop, stop + 1) and os.path.exists(f"{place}/never-{stop}"):
            os.read(os.open(f"{place}/never-{stop}", os.O_RDONLY), 1)
    return float(case)

session = get_session(settings={"spark.master": "local[2]", "spark.ui.enabled": "false"})
trials = SparkTrials(2, spark_session=session, journal=journal)
fmin(objective, CASE, in_order, 60, trials=trials, verbose=False)
print(len(trials), trials.losses() == [float(n) for n in range(60)])
session.stop()
"""


@pytest.mark.slow
def test_a_search_whose_driver_is_killed_twice(s3, tmp_path):
    make_fifos(tmp_path, "never-20", "never-40")
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(tmp_path), s3("killed")]
    environment = {**os.environ, "PYTHONPATH": python_path(), "SPARK_LOCAL_IP": "127.0.0.1"}
    for stop in (20, 40):
        elsewhere = tmp_path / f"directory-{stop}"
        elsewhere.mkdir()
        with started(command, env=environment, cwd=elsewhere, start_new_session=True) as driver:
            # Both workers wait then, and what has settled before is in the store a moment later.
            while not {*range(stop)} <= settled(s3("killed")):
                assert driver.poll() is None
            os.kill(driver.pid, signal.SIGKILL)
        (tmp_path / f"never-{stop}").unlink()
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["60", "True"], done.stderr
    ran = Counter(int(path.name.split("-")[1]) for path in tmp_path.glob("ran-*"))
    assert set(ran) == set(range(60))
    # A kill costs what ran.
    assert {tid for tid, count in ran.items() if count > 1} <= {20, 21, 40, 41}
    assert max(ran.values()) <= 2
