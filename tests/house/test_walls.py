"""The walls between the rooms: pyproject.toml has a contract for each, and each refuses what it has to."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {contract["id"]: contract for contract in SETTINGS["tool"]["importlinter"]["contracts"]}


def lint(directory):
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)


def test_each_room_has_its_wall():
    package = ROOT / "sparkopt"
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    assert {path.name for path in package.iterdir() if path.suffix} == {
        "__init__.py",
        "__main__.py",
        "errors.py",
        "py.typed",
    }
    assert {name for name in CONTRACTS if "." not in name} == {*rooms, "errors"}
    for name, contract in CONTRACTS.items():
        assert contract["source_modules"] == [f"sparkopt.{name}"]
        assert contract["name"].startswith(f"{name}: ")


def test_the_coordinators_three_parts_can_be_read_apart():
    """Each part within the room forbids what is in neither of the files that it builds on nor in itself."""
    home = ROOT / "sparkopt" / "coordinator"
    inside = {path.stem for path in home.iterdir() if path.stem != "__init__" and path.name != "__pycache__"}
    known = {"channels": {"arrivals", "blobs"}, "transport": set()}
    assert {path.name for path in home.iterdir() if (path / "__init__.py").exists()} == known.keys()
    for part, builds_on in known.items():
        forbidden = {
            name.removeprefix("sparkopt.coordinator.")
            for name in CONTRACTS[f"coordinator.{part}"]["forbidden_modules"]
        }
        assert inside - {part} - builds_on <= forbidden


def test_nobody_knows_what_knows_it():
    known = {
        room: {
            other
            for other in CONTRACTS
            if "." not in other and other != room and f"sparkopt.{other}" not in contract["forbidden_modules"]
        }
        for room, contract in CONTRACTS.items()
        if "." not in room
    }
    while known:
        lowest = {room for room, others in known.items() if not others & known.keys()}
        assert lowest, f"these rooms know each other in a circle: {known}"
        known = {room: others for room, others in known.items() if room not in lowest}


def test_an_import_through_a_wall_is_refused_by_its_rooms_name(tmp_path):
    shutil.copytree(ROOT / "sparkopt", tmp_path / "sparkopt", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint(tmp_path).returncode == 0

    for room, contract in CONTRACTS.items():
        home = tmp_path.joinpath("sparkopt", *room.split("."))
        planted = home / "planted.py" if home.is_dir() else home.with_suffix(".py")
        with planted.open("a", encoding="utf-8") as file:
            file.writelines(f"import {module}\n" for module in contract["forbidden_modules"])
    done = lint(tmp_path)

    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert len(re.findall("BROKEN", said)) == len(CONTRACTS)
    for room, contract in CONTRACTS.items():
        assert f"{contract['name']} BROKEN" in said
        planted = f"sparkopt.{room}" if room == "errors" else f"sparkopt.{room}.planted"
        for module in contract["forbidden_modules"]:
            assert f"{planted} -> {module} " in said
