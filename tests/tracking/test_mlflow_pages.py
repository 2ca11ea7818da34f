"""MLflow's own pages of a search, in a real browser: nested children, sorted by loss, and charts."""

from __future__ import annotations

import shutil

import pytest

from sparkopt import SparkTrials, fmin
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import children, main_runs

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SECONDS = 120


@pytest.fixture(scope="module")
def searched(spark, server):
    """The server, and the run of a search of seven trials, the last of which is the best."""
    from mlflow import MlflowClient

    with pytest.MonkeyPatch.context() as patch:
        client = MlflowClient(server.uri)
        patch.setenv("MLFLOW_TRACKING_URI", server.uri)
        patch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment("pages"))
        trials = SparkTrials(2, spark_session=spark, tracking=True)
        fmin(lambda case: 10.0 - case, CASE, in_order, 7, trials=trials, verbose=False)
        (main,) = main_runs(client)
        assert len(children(client, main)) == 7
        yield server, main


@pytest.fixture
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = shutil.which("chromium")
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1900,1200"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def wait(browser, condition):
    """Wait until something is on the page, and say what it is."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    waiting = WebDriverWait(browser, SECONDS, ignored_exceptions=[StaleElementReferenceException])
    return waiting.until(lambda _: condition())


def names(browser):
    """The names of the runs in the table, from top to bottom."""
    cells = browser.find_elements("css selector", '.ag-row [col-id="attributes.`Run Name`"]')
    placed = sorted((cell.location["y"], cell.text.splitlines()) for cell in cells)
    return [lines[-1] for _, lines in placed if lines]  # the name comes behind its colour


def test_the_search_is_one_row_that_opens_to_its_trials(browser, searched):
    server, main = searched
    browser.get(f"{server.uri}/#/experiments/{main.info.experiment_id}/runs")
    wait(browser, lambda: names(browser) == [main.info.run_name])
    row = '.ag-row [col-id="attributes.`Run Name`"] button'
    wait(browser, lambda: browser.find_elements("css selector", row))[0].click()
    wait(browser, lambda: set(names(browser)) == {main.info.run_name, *(f"trial {tid}" for tid in range(7))})


def test_trials_are_sorted_by_loss(browser, searched):
    server, main = searched
    order = "orderByKey=metrics.%60loss%60&orderByAsc=true"
    browser.get(f"{server.uri}/#/experiments/{main.info.experiment_id}/runs?{order}")
    best_first = [f"trial {tid}" for tid in range(6, -1, -1)]
    wait(browser, lambda: [name for name in names(browser) if name.startswith("trial")] == best_first)


def test_there_are_charts_of_the_losses(browser, searched):
    server, main = searched
    page = f"{server.uri}/#/experiments/{main.info.experiment_id}/runs?compareRunsMode=CHART"
    browser.get(page)
    charts = '[data-testid="experiment-view-compare-runs-card"]'
    wait(
        browser,
        lambda: any("best_loss" in card.text for card in browser.find_elements("css selector", charts)),
    )
    wait(browser, lambda: browser.find_elements("css selector", f"{charts} svg.main-svg"))
