"""docs/control-api.md leaves nothing out: calls, errors, methods, commands and exit codes."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from sparkopt import ControlClient
from sparkopt.cli import main
from sparkopt.cli.exits import Exit
from sparkopt.wire.v1 import control_pb2

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "control-api.md").read_text(encoding="utf-8")
PROTO = (ROOT / "proto" / "sparkopt" / "v1" / "control.proto").read_text(encoding="utf-8")
NOT_OF_A_CALL = {"demo", "journal", "replay", "pack"}


def named_in_tables(pattern):
    """What is named in the first column of the page's tables."""
    rows = [row.split("|")[1] for row in PAGE.splitlines() if row.startswith("| `")]
    return {name for row in rows for name in re.findall(pattern, row)}


def test_every_call_is_there():
    calls = {method.name for method in control_pb2.DESCRIPTOR.services_by_name["ControlService"].methods}
    assert calls <= named_in_tables(r"`([A-Z]\w+)`")


def test_every_reason_of_the_proto_is_there():
    reasons = set(re.findall(r"\(([A-Z]+(?:_[A-Z]+)+)\)", PROTO))
    assert {"NO_STUDY", "TOO_SLOW", "BAD_POINT", "POOL_CLOSED"} <= reasons
    assert reasons <= set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", PAGE))


def test_every_method_of_the_client_is_there():
    methods = {name for name, _ in inspect.getmembers(ControlClient, inspect.isfunction) if name[0] != "_"}
    assert methods - {"close"} == named_in_tables(r"(\w+)\([^`]*\)")


def test_every_command_is_there():
    assert set(main.commands) - NOT_OF_A_CALL == named_in_tables(r"`sparkopt ([\w-]+)")


def test_every_exit_code_is_there():
    codes = [str(exit.value) for exit in Exit]
    assert codes == ["0", "1", "2", "3", "4", "5", "130", "141"]
    assert codes == re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
