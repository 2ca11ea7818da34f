"""Presses what a user presses in Spark's UI to kill a job or a stage."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin
from urllib.request import ProxyHandler, build_opener


class _KillLinks(HTMLParser):
    """Finds the links. Up to Spark 4.2 each is a plain one; since then it submits the form around it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str] | None]] = []
        self._action = ""
        self._fields: dict[str, str] = {}

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self._action, self._fields = given["action"], {}
        elif tag == "input" and "name" in given:
            self._fields[given["name"]] = given["value"]
        elif tag == "a" and given.get("class") == "kill-link":
            plain = given["href"] != "#"
            self.found.append((given["href"], None) if plain else (self._action, self._fields))


def press_the_kill_link(spark, page):
    """Kill the one job, or the one stage, that can be killed on this page of the UI."""
    context = spark.sparkContext
    # The UI hears of jobs from a queue.
    context._jsc.sc().listenerBus().waitUntilEmpty()
    browser = build_opener(ProxyHandler({}))
    address, links = urljoin(context.uiWebUrl, page), _KillLinks()
    with browser.open(address) as answer:
        links.feed(answer.read().decode())
    ((target, fields),) = links.found
    data = None if fields is None else urlencode(fields).encode()
    browser.open(urljoin(address, target), data).close()
