"""The contract's scenarios on a session of Spark Connect. A script; says which differences there are."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from tests.hyperopt.compat import (
    test_contract,
    test_contract_ends,
    test_contract_files,
    test_contract_results,
    test_contract_trials,
)
from tests.hyperopt.compat.contract import differences, ways
from tests.support.connect_session import OFF, connect_session

MODULES = (
    test_contract,
    test_contract_ends,
    test_contract_files,
    test_contract_results,
    test_contract_trials,
)
SCENARIOS = {
    f"{module.__name__}.{name}": scenario for module in MODULES for name, scenario in module.SCENARIOS.items()
}


def said_of(scenario, session, directory):
    """The differences, or what was raised instead."""
    directory.mkdir()
    way = ways(session, directory)
    try:
        return {
            path: repr(found) for path, found in differences(scenario, way["serial"], way["ours"]).items()
        }
    except Exception:
        return {"raised": traceback.format_exc()}


def main():
    """Run them all on one session."""
    with connect_session("local[1]", OFF) as session:
        said = {name: said_of(each, session, Path(name).absolute()) for name, each in SCENARIOS.items()}
        said["session"] = type(session).__module__
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
