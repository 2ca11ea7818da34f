"""``sparkopt pack``, where it refuses."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from sparkopt.cli import main


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """The directory of the Python that runs this, as the command sees it."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    (tmp_path / "prefix").mkdir()
    return tmp_path / "prefix"


def pack(*arguments):
    result = CliRunner().invoke(main, ["pack", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_a_python_that_is_no_environment_is_refused_with_what_to_do(prefix, tmp_path):
    code, said = pack("-o", tmp_path / "it.tar.gz")
    assert code == 1
    assert f"{prefix} is not an environment" in said
    assert "python -m venv" in said


@pytest.mark.parametrize(
    ("mark", "module", "package"),
    [("conda-meta", "conda_pack", "conda-pack"), ("pyvenv.cfg", "venv_pack", "venv-pack2")],
)
def test_what_packs_this_kind_of_environment_is_named_where_it_is_missing(
    prefix, tmp_path, monkeypatch, mark, module, package
):
    if mark == "conda-meta":
        (prefix / mark).mkdir()
    else:
        (prefix / mark).touch()
    monkeypatch.setitem(sys.modules, module, None)
    code, said = pack("-o", tmp_path / "it.tar.gz")
    assert code == 1
    assert f"packing it needs {package}: {sys.executable} -m pip install {package}" in said


def test_an_environment_that_cannot_be_packed_is_explained_by_its_packer(prefix, tmp_path):
    (prefix / "pyvenv.cfg").write_text("home = /usr/bin\n")
    code, said = pack("-o", tmp_path / "it.tar.gz")
    assert code == 1
    assert f"venv-pack2 cannot pack {prefix}: " in said


def test_archives_are_named_as_spark_unpacks_them_and_not_overwritten(prefix, tmp_path):
    (prefix / "pyvenv.cfg").touch()
    assert pack("-o", tmp_path / "it.zip")[0] == 2
    there = tmp_path / "it.tar.gz"
    there.touch()
    code, said = pack("-o", there)
    assert code == 2
    assert "--force replaces it" in said


def test_a_prefix_is_for_a_venv_alone(prefix, tmp_path):
    (prefix / "conda-meta").mkdir()
    code, said = pack("-o", tmp_path / "it.tar.gz", "--python-prefix", "/usr")
    assert code == 2
    assert "a conda environment has its own Python" in said
