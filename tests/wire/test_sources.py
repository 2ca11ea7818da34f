"""Source lines travel with code: a traceback names the file and shows the line where the file is not."""

from __future__ import annotations

import linecache
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from sparkopt.wire import codec, sources

SCRIPT = """
import functools, linecache, sys
from sparkopt.wire import codec

def plain(value):
    return value / 0  # plain

def outer(divisor):
    def inner(value):
        return [each / divisor for each in [value]][0]  # nested
    return inner

def decorator(function):
    @functools.wraps(function)
    def called(value):
        return function(value)  # wrapper
    return called

@decorator
def decorated(value):
    return value / 0  # decorated

class Model:
    def __call__(self, value):
        return self.fit(value)

    def fit(self, value):
        return value / 0  # method

def long(value):
    LONG
    return value / 0  # long

cell = "def in_cell(value):\\n    return value / 0  # cell\\n"
linecache.cache["<ipython-input-1>"] = (len(cell), None, cell.splitlines(True), "<ipython-input-1>")
exec(compile(cell, "<ipython-input-1>", "exec"))
exec(compile(cell.replace("in_cell", "unseen"), "<string>", "exec"))
made = {
    "plain": plain, "lambda": lambda value: value / 0,  # lambda
    "nested": outer(0), "decorated": decorated, "wrapper": decorated, "method": Model(),
    "cell": in_cell, "unseen": unseen, "long": long,
}
sys.stdout.buffer.write(codec.dumps(list(made.items())))
"""

CALL = """
import pickle, sys, traceback
said = {}
for name, function in pickle.load(sys.stdin.buffer):
    try:
        function(1)
    except ZeroDivisionError:
        said[name] = traceback.format_exc()
sys.stdout.buffer.write(pickle.dumps(said))
"""


def run(*arguments, stdin=b""):
    return subprocess.run(
        [sys.executable, *arguments], input=stdin, stdout=subprocess.PIPE, check=True, timeout=60
    ).stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Tracebacks of functions of a script, in another process, when the script is gone."""
    script = tmp_path_factory.mktemp("script") / "train.py"
    script.write_text(SCRIPT.replace("LONG", "\n    ".join(["value = value + 0  # " + 60 * "-"] * 4000)))
    data = run(str(script))
    script.unlink()
    return str(script), codec.loads(run("-c", CALL, stdin=data)), data


@pytest.mark.parametrize("name", ["plain", "lambda", "nested", "decorated", "wrapper", "method"])
def test_a_scripts_functions(said, name):
    script, tracebacks, _ = said
    assert f'File "{script}", line ' in tracebacks[name]
    assert f"# {name}" in tracebacks[name]


def test_a_cells_function(said):
    _, tracebacks, _ = said
    assert 'File "<ipython-input-1>", line 2, in in_cell\n    return value / 0  # cell' in tracebacks["cell"]


def test_code_without_a_source_has_its_number(said):
    _, tracebacks, _ = said
    assert 'File "<string>", line 2, in unseen\n' in tracebacks["unseen"]


def test_what_is_too_long_has_its_file_and_number_and_costs_nothing(said):
    script, tracebacks, data = said
    assert f'File "{script}", line ' in tracebacks["long"]
    assert "# long" not in tracebacks["long"]
    assert data.count(60 * b"-") == 0


def test_a_source_travels_once(said):
    _, _, data = said
    assert data.count(b"# nested") == data.count(b"# method") == 1


def test_a_file_that_is_the_same_here_is_left_as_it_is(tmp_path):
    file = tmp_path / "same.py"
    text = "def fail(value):\n    return value / 0\n"
    file.write_text(text)
    space: dict = {"__name__": "somewhere"}
    exec(compile(text, str(file), "exec"), space)
    again = codec.loads(codec.dumps(space["fail"]))
    assert linecache.cache[str(file)][1] is not None
    with pytest.raises(ZeroDivisionError) as caught:
        again(1)
    assert "return value / 0" in "".join(traceback.format_exception(caught.value))


def test_a_file_that_is_another_one_here_shows_what_runs(tmp_path):
    file = tmp_path / "changed.py"
    text = "def fail(value):\n    return value / 0  # as it was sent\n"
    file.write_text(text)
    space: dict = {"__name__": "somewhere"}
    exec(compile(text, str(file), "exec"), space)
    data = codec.dumps(space["fail"])
    file.write_text("# something else\n")
    linecache.checkcache(str(file))
    with pytest.raises(ZeroDivisionError) as caught:
        codec.loads(data)(1)
    assert "# as it was sent" in "".join(traceback.format_exception(caught.value))


def test_importable_functions_go_by_name():
    assert b"return" not in codec.dumps(Path.read_text)
    assert len(sources.dumps(Path.read_text)) < 200
