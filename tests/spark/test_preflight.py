"""What is refused before anything is launched, and that it is named."""

from __future__ import annotations

import pickle
import sys
import threading
import types
from functools import partial

import cloudpickle
import pytest
from hyperopt import hp
from hyperopt.base import Domain
from pyspark import SparkContext
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkopt.errors import NotPicklableError, SparkInObjectiveError
from sparkopt.hyperopt.space import Space
from sparkopt.spark.preflight import pickle_objective

LOCK = threading.Lock()


class Model:
    def __init__(self, part):
        self.part = part

    def loss(self, point):
        return point

    def __call__(self, point):
        return point


def captures(value):
    def objective(point):
        return point, value

    return objective


def with_global(value, name="thing"):
    """A function as a notebook would define it, with a global of that value."""
    scope = {"__name__": "__main__", name: value}
    exec(f"def objective(point):\n    return point, {name}", scope)
    return scope["objective"]


class TestPickling:
    @pytest.mark.parametrize(
        ("objective", "part"),
        [
            (captures(LOCK), r"the captured variable 'value', which is a _thread.lock"),
            (with_global(LOCK, "guard"), r"the global 'guard', which is a _thread.lock"),
            (partial(captures(1), LOCK), r"the partial's argument 0, which is a _thread.lock"),
            (partial(captures(1), guard=LOCK), "the partial's argument 'guard', which"),
            (partial(captures(LOCK)), "the partial's function, the captured variable 'value', which"),
            (Model(LOCK), r"the attribute 'part', which is a _thread.lock"),
            (Model(LOCK).loss, "the method's object, the attribute 'part', which"),
            (captures({"a": {"b": [1, LOCK]}}), "'value', the entry 'a', the entry 'b', the item 1, which"),
            (captures(captures(LOCK)), "the captured variable 'value', the captured variable 'value', which"),
        ],
    )
    def test_the_part_is_named(self, spark, objective, part):
        with pytest.raises(NotPicklableError, match="does not pickle because of") as caught:
            pickle_objective(objective, spark)
        assert part in str(caught.value)
        assert isinstance(caught.value.__cause__, TypeError)

    def test_a_default_argument_is_named(self, spark):
        def objective(point, guard=LOCK):
            return point

        with pytest.raises(NotPicklableError, match=r"a default argument, which is a _thread\.lock"):
            pickle_objective(objective, spark)

    def test_a_ring_of_references_is_no_trap(self, spark):
        ring = {"lock": LOCK}
        ring["self"] = ring
        with pytest.raises(NotPicklableError, match="the entry 'lock'"):
            pickle_objective(captures(ring), spark)

    @pytest.mark.parametrize(
        "objective", [captures(3), with_global([1, 2]), partial(captures(1)), len], ids=["a", "b", "c", "d"]
    )
    def test_ordinary_objectives_pass(self, spark, objective):
        pickled = pickle_objective(objective, spark)
        assert callable(pickle.loads(pickled.data))
        assert pickled.broadcasts == ()


class TestSparkInside:
    """Spark objects in an objective: refused, and hyperopt.Trials recommended."""

    @pytest.fixture
    def things(self, spark):
        frame = spark.range(3)
        return {
            "session": spark,
            "context": spark.sparkContext,
            "frame": frame,
            "column": F.col("id"),
            "rdd": spark.sparkContext.parallelize([1]),
            "estimator": LogisticRegression(),
        }

    NAMES = ("session", "context", "frame", "column", "rdd", "estimator")

    def refuse(self, spark, objective):
        with pytest.raises(SparkInObjectiveError, match=r"trials=hyperopt\.Trials\(\)") as caught:
            pickle_objective(objective, spark)
        return str(caught.value)

    @pytest.mark.parametrize("name", NAMES)
    def test_captured(self, spark, things, name):
        kind = type(things[name]).__qualname__
        assert f"it holds a {kind} " in self.refuse(spark, captures(things[name]))

    @pytest.mark.parametrize("name", NAMES)
    def test_captured_deep_inside(self, spark, things, name):
        self.refuse(spark, captures([Model({"x": things[name]})]))

    @pytest.mark.parametrize("name", NAMES)
    def test_a_global(self, spark, things, name):
        assert "'data_of_mine'" in self.refuse(spark, with_global(things[name], "data_of_mine"))

    @pytest.mark.parametrize("name", NAMES)
    def test_in_a_helper(self, spark, things, name):
        self.refuse(spark, with_global(with_global(things[name]), "helper"))
        self.refuse(spark, captures(captures(things[name])))

    def test_imported_inside(self, spark):
        def session(point):
            from pyspark.sql import SparkSession

            return SparkSession.builder.getOrCreate().range(3).count()

        def estimator(point):
            from pyspark.ml.regression import LinearRegression

            return LinearRegression()

        assert "imported in" in self.refuse(spark, session)
        assert "LinearRegression" in self.refuse(spark, estimator)

    @pytest.mark.parametrize("kind", [SparkSession, SparkContext, LogisticRegression])
    def test_classes_as_globals(self, spark, kind):
        assert f"it uses {kind.__module__}.{kind.__qualname__}" in self.refuse(spark, with_global(kind))

    def test_imported_in_a_helper(self, spark):
        def helper():
            from pyspark.ml.clustering import KMeans

            return KMeans()

        self.refuse(spark, captures(helper))

    @pytest.mark.parametrize(
        ("code", "use"),
        [
            (
                "import pyspark\nf = lambda x: pyspark.sql.SparkSession.builder.getOrCreate()",
                "sql.session.SparkSession",
            ),
            ("import pyspark\nf = lambda x: pyspark.SparkContext.getOrCreate()", "context.SparkContext"),
            (
                "import pyspark.sql as s\nf = lambda x: s.SparkSession.getActiveSession()",
                "session.SparkSession",
            ),
            (
                "from pyspark.sql import functions as F\nf = lambda x: F.col('a') > x",
                "it uses pyspark.sql.functions",
            ),
            (
                "from pyspark.sql.functions import col\nf = lambda x: col('a') > x",
                "it uses pyspark.sql.functions",
            ),
            (
                "import pyspark.ml.classification as c\nf = lambda x: c.LinearSVC()",
                "classification.LinearSVC",
            ),
            ("def f(x):\n import pyspark.sql\n return pyspark.sql.SparkSession", "session.SparkSession"),
            ("def f(x):\n import pyspark.sql as s\n return s.SparkSession", "session.SparkSession"),
            ("def f(x):\n from pyspark import sql\n return sql.SparkSession", "session.SparkSession"),
            ("def f(x):\n from pyspark.sql import functions\n return functions", "imported in f"),
            ("def f(x):\n import pyspark.sql.functions as F\n return F.lit(x)", "imported in f"),
            ("def f(x):\n import pyspark.pandas as ps\n return ps.range(3)", "it uses pyspark.pandas"),
            (
                "def f(x):\n def g():\n  from pyspark.ml import regression as r\n  r.FMRegressor()\n g()",
                "FMRegressor",
            ),
        ],
    )
    def test_through_a_module(self, spark, code, use):
        scope = {"__name__": "__main__"}
        exec(code, scope)
        assert use in self.refuse(spark, scope["f"])
        assert use in self.refuse(spark, partial(scope["f"], 1))
        assert use in self.refuse(spark, Model(scope["f"]))

    def test_a_captured_module(self, spark):
        import pyspark

        self.refuse(spark, lambda point: pyspark.sql.SparkSession)
        assert "it uses pyspark.sql.functions" in self.refuse(spark, captures(F))

    @pytest.mark.parametrize(
        "code",
        [
            "def f(spark):\n spark = {'DataFrame': 1}\n return spark['DataFrame']",
            "import pyspark\nf = lambda x: pyspark.__version__",
            "import pyspark.sql.types as t\nf = lambda x: t.StringType()",
            "from pyspark.ml.linalg import Vectors\nf = lambda x: Vectors.dense([x])",
            "def f(x):\n from pyspark import SparkFiles\n return SparkFiles.get('a')",
            "def f(x):\n from pyspark.nowhere import nothing\n return nothing",
            "def f(x):\n from nowhere import nothing\n return nothing",
            "def f(x):\n return x.functions.col(x.SparkSession)",
        ],
    )
    def test_what_works_on_an_executor_passes(self, spark, code):
        scope = {"__name__": "__main__"}
        exec(code, scope)
        assert pickle_objective(scope["f"], spark).data

    @pytest.fixture
    def by_name(self, things, monkeypatch):
        """A module that workers import, so that what is in it is pickled by name."""

        def make(code):
            module = types.ModuleType("helpers_of_mine")
            module.frame = things["frame"]
            monkeypatch.setitem(sys.modules, module.__name__, module)
            exec(code, module.__dict__)
            return module

        return make

    def test_in_a_module_that_is_sent_by_name(self, spark, by_name):
        module = by_name("def helper(point):\n return frame.count()")
        assert b"helpers_of_mine" in cloudpickle.dumps(module.helper)
        assert "as 'frame' in helper" in self.refuse(spark, with_global(module.helper, "helper"))

    @pytest.mark.parametrize(
        "objective",
        [
            "def f(x):\n return g(x)\ndef g(x):\n return h(x)\ndef h(x):\n return frame.count()\n",
            "def f(x):\n return g(x)\ndef g(x):\n return f(x) + h(x)\nh = lambda x: frame.count()",
            "def f(x):\n return K(x).a()\nclass K:\n def a(self):\n  return frame.count()",
            "def f(x):\n return K.a()\nclass K:\n @staticmethod\n def a():\n  return frame.count()",
            "class K:\n def __call__(self, x):\n  return frame.count()\nf = K()",
            "class K:\n def a(self, x):\n  return frame.count()\nf = K().a",
        ],
    )
    def test_in_what_such_a_module_calls_of_its_own(self, spark, by_name, objective):
        module = by_name(objective)
        assert b"helpers_of_mine" in cloudpickle.dumps(module.f)
        assert "as 'frame' in " in self.refuse(spark, module.f)
        self.refuse(spark, partial(module.f, 1))

    def test_what_such_a_module_does_not_call_is_its_own_affair(self, spark, by_name):
        module = by_name(
            "def f(x):\n return g(x)\ndef g(x):\n return f(x)\ndef h(x):\n return frame.count()\n"
        )
        assert pickle_objective(module.f, spark).data


class TestBroadcasts:
    def test_they_are_noticed_and_the_registry_is_left_alone(self, spark):
        context = spark.sparkContext
        used, other = context.broadcast([1, 2, 3]), context.broadcast("other")
        registry = context._pickled_broadcast_vars
        registry.add(other)
        try:
            assert pickle_objective(captures(used), spark).broadcasts == (used,)
            assert list(registry) == [other]
            with pytest.raises(NotPicklableError):
                pickle_objective(captures([used, LOCK]), spark)
            assert list(registry) == [other]
        finally:
            registry.clear()
            used.destroy()
            other.destroy()


class TestSpace:
    def check(self, space):
        Space(Domain(lambda point: point, space)).check_picklable()

    def test_an_option_that_does_not_pickle_is_named(self):
        with pytest.raises(NotPicklableError, match=r"option 1 of 'model' is <unlocked _thread\.lock"):
            self.check({"x": hp.uniform("x", 0, 1), "model": hp.choice("model", [1, LOCK])})

    def test_a_nested_one_too(self):
        inner = hp.choice("inner", ["a", {"deep": [LOCK]}])
        with pytest.raises(NotPicklableError, match="option 1 of 'inner'"):
            self.check(hp.choice("outer", [1, {"in": inner}]))

    def test_and_one_outside_of_choices(self):
        with pytest.raises(NotPicklableError, match="the space is <unlocked"):
            self.check({"x": hp.uniform("x", 0, 1), "guard": LOCK})

    def test_functions_and_classes_are_fine(self):
        class Local:
            pass

        self.check(hp.choice("kind", [Local, lambda: 1, len, hp.normal("x", 0, 1)]))

    def test_it_is_refused_before_anything_is_launched(self, spark):
        from hyperopt import rand

        from sparkopt import SparkTrials, fmin

        trials = SparkTrials(1, spark_session=spark)
        space = hp.choice("model", [LOCK, 1])
        with pytest.raises(NotPicklableError, match="option 0 of 'model'"):
            fmin(lambda point: 0.0, space, rand.suggest, 2, trials=trials, verbose=False)
        assert trials._dynamic_trials == []
