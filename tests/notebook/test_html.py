"""HTML of trials and pools in notebooks: what it says, and that nothing of the user's is taken for HTML."""

from __future__ import annotations

import math
import pickle
from html.parser import HTMLParser

import pytest
from hyperopt import hp, rand

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.notebook import markup
from sparkopt.notebook.loss_curve import loss_curve

EVIL = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Elements, attributes and text of a piece of HTML, whose tags must be closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not [name for name, _ in attributes if name.startswith("on")]
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)


def objective(point):
    if point["x"] < 0:
        raise ValueError(f"no <b>model</b> for {EVIL}")
    return point["x"]


def test_trials_and_their_pool(spark):
    space = {"x": hp.uniform(f"x {EVIL}", -1, 3), "kind": hp.choice("kind", [EVIL, "large & cheap"])}
    pool = WorkerPool(1, spark_session=spark)
    assert pool.look() == ()
    assert Page(pool._repr_html_()).text.startswith("WorkerPool: not open")
    with pool:
        trials = SparkTrials(pool=pool, tracking=False)
        with pytest.warns(UserWarning, match="trial"):
            fmin(objective, space, rand.suggest, 30, trials=trials, verbose=False)
        page = Page(pool._repr_html_())
        (worker,) = pool.look()
    assert "WorkerPool: open" in page.text
    assert "1 worker, 0 busy" in page.text
    assert (worker.state, worker.runs) == ("idle", "")
    assert {worker.name, worker.host, "idle"} <= set(page.texts)

    page = Page(trials._repr_html_())
    assert "SparkTrials: 30 trials" in page.text
    assert f"{trials.count_successful_trials()} ok, {trials.count_failed_trials()} failed" in page.text
    assert "workers busy" in page.text
    assert f"failed: {trials.count_failed_trials()}" in page.text
    assert f"ValueError: no <b>model</b> for {EVIL}" in page.text
    assert page.tags.count("circle") == trials.count_successful_trials()
    # The best five, the best first, with options in words.
    assert page.tags.count("tr") == 6
    best = page.texts[page.texts.index(f"x {EVIL}") + 1 :]
    loss = trials.best_trial["result"]["loss"]
    assert best[:2] == [str(trials.best_trial["tid"]), markup.number(loss)]
    assert best[3] == trials.best_params["kind"]
    # Without the space, which does not go with them, the index.
    page = Page(pickle.loads(pickle.dumps(trials))._repr_html_())
    assert page.texts[page.texts.index(f"x {EVIL}") + 4] == str(trials.argmin["kind"])


def test_trials_of_no_search(new_trials):
    page = Page(new_trials()._repr_html_())
    assert page.text == "SparkTrials: 0 trials"


@pytest.mark.parametrize(
    ("losses", "dots"),
    [
        ([], 0),
        ([1.0], 0),
        ([1.0, 1.0], 2),
        ([2.0, math.nan, math.inf, 1.0], 2),
        ([-1.7e308, 1.7e308, 0.0], 3),
        ([float(each) for each in range(10_000)], 295),
    ],
)
def test_a_curve_of_losses(losses, dots):
    html = loss_curve(losses)
    page = Page(html)
    assert page.tags.count("circle") == dots
    assert page.tags.count("path") == (dots > 0)
    assert "nan" not in html
    assert "inf" not in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\n b\t<c> & \"d\" 'e'", "a b &lt;c&gt; &amp; &quot;d&quot; &#x27;e&#x27;"),
        ("\x1b[31mred\u202e", "\ufffd[31mred\ufffd"),
        ("\udcff", "\\udcff"),
        (None, "None"),
    ],
)
def test_text_is_escaped(text, html):
    assert markup.escaped(text) == html


def test_long_text_is_cut():
    assert markup.escaped("x" * 100, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3723, "1:02:03"), (math.inf, "?"), (-1, "0:00")]
)
def test_a_duration(seconds, text):
    assert markup.duration(seconds) == text
