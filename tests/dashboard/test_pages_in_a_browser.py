"""The pages of a dashboard in headless Chromium: wide and narrow, light and dark, and acted on.

``SPARKOPT_SCREENSHOTS`` names a directory that a picture of each page is put into, for people to look at.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sparkopt.client import EventKind
from tests.dashboard.test_followed_pools import Driven, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SECONDS = 120
LOOKS = {"wide": (1500, 1000), "narrow": (390, 844)}


@pytest.fixture(scope="module")
def chromium():
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("there is no Chromium: scripts/test --browser installs it")
    options = Options()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def look(chromium):
    """Opens pages in a size and a colour scheme."""

    def at(url, size="wide", scheme="light"):
        width, height = LOOKS[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "narrow"}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        chromium.get(url)
        return chromium

    chromium.get_log("browser")
    yield at
    # Whatever the policy forbids is there as well.
    severe = [each["message"] for each in chromium.get_log("browser") if each["level"] == "SEVERE"]
    chromium.delete_all_cookies()
    chromium.get("about:blank")  # it would go on asking a dashboard that is gone
    assert severe == []


def wait(browser, condition):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    waiting = WebDriverWait(browser, SECONDS, ignored_exceptions=[StaleElementReferenceException])
    return waiting.until(lambda _: condition())


def text_of(browser):
    return browser.find_element("tag name", "body").text


def picture(browser, name):
    if directory := os.environ.get("SPARKOPT_SCREENSHOTS"):
        browser.save_screenshot(str(Path(directory, f"{name}.png")))


def buttons(browser, text):
    return browser.find_elements("xpath", f"//button[text()='{text}']")


def press(browser, text):
    """Press a button, which may be drawn anew meanwhile."""

    def pressed():
        found = buttons(browser, text)
        if found:
            found[0].click()
        return bool(found)

    wait(browser, pressed)


@pytest.fixture
def searched(rig, followed):
    """A pool with one trial that has ended and two that run."""
    driven = Driven(rig)
    rig.work(0, 1)
    driven.send({"x": 1, "kind": "round"}, {"x": 2, "kind": "square"}, {"x": 3, "kind": "round"})
    visits = rig.post.visits(2)
    visits["1"].answer("0.25")
    visits["3"] = rig.post.visit()
    driven.until(EventKind.SETTLED)
    yield driven, visits
    for each in visits.values():
        each.close()
    driven.close()


@pytest.mark.parametrize("size", LOOKS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_workers_fits_and_follows_the_scheme(look, searched, followed, size, scheme):
    browser = look(followed.dashboard.link, size, scheme)
    wait(browser, lambda: "0.25 (trial 0)" in text_of(browser))
    said = text_of(browser)
    for word in (
        "running",
        "utilisation",
        "gang0.1/worker0",
        "2 of evaluation-0",
        "30 at step 1",
        "Stop now",
    ):
        assert word in said, said
    picture(browser, f"workers-{size}-{scheme}")
    width, seen = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= seen
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in background[4:-1].split(",")]
    assert (max(channels) < 80) if scheme == "dark" else (min(channels) > 200)


@pytest.mark.parametrize("size", LOOKS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_are_drawn(look, searched, followed, size, scheme):
    browser = look(f"{followed.dashboard.url}dashboard/studies/0", size, scheme)
    wait(browser, lambda: "History" in text_of(browser))
    wait(browser, lambda: browser.find_elements("css selector", "svg.main-svg .scatterlayer .point"))
    wait(browser, lambda: "Best Trial (number=0)" in text_of(browser))
    picture(browser, f"plots-{size}-{scheme}")
    assert browser.find_element("link text", "Workers and controls").is_displayed()


def test_a_search_is_steered(look, searched, followed, rig):
    driven, _ = searched
    browser = look(followed.dashboard.link)
    press(browser, "Pause")
    wait(browser, lambda: buttons(browser, "Resume"))
    assert driven.client.status().paused
    press(browser, "Resume")
    wait(browser, lambda: buttons(browser, "Pause"))

    def typed():
        limit = browser.find_element("css selector", "input[type=number]")
        limit.clear()
        limit.send_keys("1")
        return True

    wait(browser, typed)
    press(browser, "Set")
    until(lambda: driven.client.status().parallelism, lambda limit: limit == 1)
    press(browser, "Cancel")
    browser.switch_to.alert.accept()
    assert driven.until(EventKind.SETTLED).trial.reason == "cancelled on the dashboard"
    press(browser, "Stop now")
    browser.switch_to.alert.accept()
    wait(browser, lambda: "ended" in text_of(browser))
    driven.close()
    rig.close()
    wait(browser, lambda: "the pool has closed" in text_of(browser))
    assert "Pause" not in text_of(browser)


def test_without_the_key_there_are_no_controls(look, searched, followed):
    browser = look(followed.dashboard.url)
    wait(browser, lambda: "gang0.1/worker0" in text_of(browser))
    assert "open the link that was printed" in text_of(browser)
    assert not browser.find_elements("tag name", "button")


def test_the_token_opens_it(look, make_served, searched, rig):
    from sparkopt import ControlClient

    served = make_served(allow_hosts=("dash.example",))
    token = rig.server.token
    served.dashboard.follow(rig.server.address, ControlClient(rig.server.address, token=token), token)
    browser = look(served.dashboard.url, "narrow", "dark")
    picture(browser, "login-narrow-dark")
    browser.find_element("id", "token").send_keys("wrong")
    browser.find_element("css selector", "button").click()
    wait(browser, lambda: "That token is wrong." in text_of(browser))
    browser.find_element("id", "token").send_keys(token)
    browser.find_element("css selector", "button").click()
    wait(browser, lambda: "gang0.1/worker0" in text_of(browser))
    browser.get_log("browser")  # 401 is an error there
