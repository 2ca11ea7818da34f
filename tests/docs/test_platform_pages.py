"""The pages of docs/platforms are complete, and name what there is."""

from __future__ import annotations

import re

import pytest

from sparkopt.spark.connect import BIND_SETTING, HOST_SETTING
from sparkopt.tracking.installed import SETTING
from tests.docs.links import LINK, anchors
from tests.support.paths import ROOT

PLATFORMS = ROOT / "docs" / "platforms"
INDEX = PLATFORMS / "README.md"
PAGES = sorted(PLATFORMS.glob("*.md"))
LINKING = [ROOT / "README.md", ROOT / "docs" / "operations.md", *PAGES]


def test_the_index_has_every_page_and_is_found():
    text = INDEX.read_text(encoding="utf-8")
    assert {path for path, _ in LINK.findall(text)} >= {page.name for page in PAGES if page != INDEX}
    for page, path in ((ROOT / "README.md", "docs/platforms/README.md"), (LINKING[1], "platforms/README.md")):
        assert path in {link for link, _ in LINK.findall(page.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", [page for page in PAGES if page != INDEX], ids=lambda page: page.stem)
def test_each_page_says_what_was_tried(page):
    assert "tried" in anchors(page)


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_extras_exist(page):
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = project.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    extras = set(re.findall(r"^(\w+) = \[", table, re.MULTILINE))
    assert {"spark", "mlflow", "cli", "pack", "connect", "control"} <= extras
    text = page.read_text(encoding="utf-8")
    named = {extra for listed in re.findall(r"sparkopt\[([\w,]+)\]", text) for extra in listed.split(",")}
    assert named <= extras


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_sparkopt_is_not_installed_by_name(page):
    # It is on no index. Where it is installed, its name with an extra is fine: pip looks for nothing then.
    assert not re.search(r"install (?:[^\n`]* )?'?sparkopt(?![\w\[-])", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_of_ours_exist(page):
    named = re.findall(r"spark\.(?:sparkopt|databricks)\.[\w.]*\w", page.read_text(encoding="utf-8"))
    assert set(named) <= {SETTING, HOST_SETTING, BIND_SETTING}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_environments_of_the_matrix_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"scripts/matrix (?!--)([\w.-]+)", text):
        assert (ROOT / "matrix" / f"{name}.txt").is_file()


def test_the_page_of_versions_has_every_environment_of_the_matrix():
    text = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    assert {file.stem for file in (ROOT / "matrix").glob("*.txt")} <= set(re.findall(r"`([\w.-]+)`", text))
