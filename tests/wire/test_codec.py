"""What goes through the codec comes out as it went in, bit for bit, in a process without our modules too."""

from __future__ import annotations

import math
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkopt.wire import codec

bit_patterns = st.binary(min_size=8, max_size=8).map(lambda data: struct.unpack("<d", data)[0])
special = st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324])
floats = bit_patterns | special | st.floats(allow_subnormal=True)
plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | floats
    | st.complex_numbers()
    | st.text()
    | st.binary(max_size=50)
)
trees = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
        | st.sets(st.integers(), max_size=4)
    ),
    max_leaves=15,
)
SCALARS = [np.dtype(code) for code in np.typecodes["All"] if code not in "OVSUMm"]


def same(one: object, other: object) -> bool:
    """Equal in type and, for floats, in every bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@given(trees)
def test_trees_of_values_come_back_bit_for_bit(value):
    assert same(codec.loads(codec.dumps(value)), value)


@given(floats)
def test_floats_keep_their_bits(value):
    assert struct.pack("<d", codec.loads(codec.dumps(value))) == struct.pack("<d", value)


@pytest.mark.parametrize("dtype", SCALARS, ids=lambda dtype: dtype.char)
@given(data=st.data())
def test_numpy_scalars_keep_their_type_and_bits(dtype, data):
    raw = data.draw(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize))
    value = np.frombuffer(raw, dtype)[0] if dtype.char != "?" else np.bool_(raw[0] & 1)
    # What a long double has of padding is nobody's value.
    value = value if dtype.char not in "gG" else dtype.type(raw[0])
    again = codec.loads(codec.dumps([value]))[0]
    assert again.dtype == value.dtype
    assert again.tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        np.str_("ü"),
        np.bytes_(b"\0a"),
        np.datetime64("2024-02-29T12:00", "s"),
        np.datetime64("NaT"),
        np.timedelta64(3, "ns"),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])[0],
    ],
    ids=lambda value: type(value).__name__,
)
def test_numpy_scalars_that_are_no_numbers(value):
    again = codec.loads(codec.dumps(value))
    assert type(again) is type(value)
    assert again.dtype == value.dtype
    assert again.tobytes() == value.tobytes()


def test_arrays_keep_dtype_and_contents():
    value = {"a": np.arange(6, dtype=">i2").reshape(2, 3)}
    again = codec.loads(codec.dumps(value))
    assert again["a"].dtype == value["a"].dtype
    np.testing.assert_array_equal(again["a"], value["a"])


def test_a_list_that_holds_itself():
    value: list[object] = []
    value.append(value)
    again = codec.loads(codec.dumps(value))
    assert again[0] is again


def local_things(offset):
    class Point:
        def __init__(self, x):
            self.x = x

        def moved(self):
            return Point(self.x + offset)

    return Point, lambda x: Point(x).moved().x


@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: [it], lambda it: {"deep": [(it,)]}])
def test_local_functions_and_instances(wrap):
    point, move = local_things(2)
    data = codec.dumps(wrap((point(1), move)))
    found = codec.loads(data)
    while not (isinstance(found, tuple) and len(found) == 2):
        found = found["deep"] if isinstance(found, dict) else found[0]
    assert found[0].moved().x == 3
    assert found[1](5) == 7


def test_another_process_needs_none_of_our_modules():
    point, move = local_things(10)
    script = (
        "import pickle, sys\n"
        "point, move = pickle.load(sys.stdin.buffer)\n"
        "print(point.moved().x, move(1), 'test_codec' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=codec.dumps((point(1), move)), capture_output=True, timeout=60
    )
    assert done.stdout.decode().split() == ["11", "11", "False"], done.stderr.decode()


def test_what_does_not_pickle_says_so():
    with pytest.raises((TypeError, pickle.PicklingError)):
        codec.dumps({"a": (each for each in ())})
