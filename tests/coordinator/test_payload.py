"""A payload is unpickled from where it is, and goes with it."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

from sparkopt.coordinator import Payload

SIZE = 32 * 2**20


@pytest.mark.parametrize(
    "value", [bytes(SIZE), np.zeros(SIZE // 8), bytearray(SIZE)], ids=["bytes", "array", "bytearray"]
)
def test_a_large_one_is_in_memory_once(tmp_path, value):
    path = tmp_path / "payload"
    path.write_bytes(pickle.dumps({"status": "ok", "loss": 1.0, "attachments": {"model": value}}, 5))
    tracemalloc.start()
    try:
        loaded = Payload(path).load()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(loaded["attachments"]["model"]) == len(value)
    assert SIZE <= peak < 1.1 * SIZE
    assert not path.exists()


def test_one_that_cannot_be_loaded_goes_as_well(tmp_path):
    path = tmp_path / "payload"
    path.write_bytes(b"no pickle")
    with pytest.raises(pickle.UnpicklingError):
        Payload(path).load()
    assert not path.exists()


def test_a_small_one():
    assert Payload(pickle.dumps([1, 2])).load() == [1, 2]
