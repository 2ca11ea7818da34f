"""What the coordinator hears of workers' tasks and executors, by what Spark's status store says."""

from __future__ import annotations

import queue

import pytest

from sparkopt.core import events
from sparkopt.pool import executor_watch
from sparkopt.pool.executor_watch import ExecutorWatch
from sparkopt.pool.launches import Launches
from sparkopt.spark.task_fates import TaskFate, fate_of, is_leaving, is_preemption
from sparkopt.wire.v1 import worker_pb2

LOST = "ExecutorLostFailure (executor 3 exited {} to the running tasks) Reason: Command exited with code 137"
NAME = "gang0.1/worker0"
SECONDS = 30


class OneLaunch(Launches):
    """Launches that know a tag."""

    def tag_of(self, number, generation):
        return f"tag-{number}.{generation}"


class Spark:
    """Spark's words, which a test chooses."""

    def __init__(self):
        self.fates = {}
        self.leaving = set()
        self.asked = queue.SimpleQueue()

    def fate_of(self, session, tag, task):
        self.asked.put((tag, task))
        return self.fates.get(task)

    def is_leaving(self, session, executor):
        return executor in self.leaving


@pytest.fixture
def words(monkeypatch):
    words = Spark()
    monkeypatch.setattr(executor_watch, "fate_of", words.fate_of)
    monkeypatch.setattr(executor_watch, "is_leaving", words.is_leaving)
    monkeypatch.setattr(executor_watch, "setting", lambda session, key, default: "true")
    monkeypatch.setattr(executor_watch, "_EXECUTORS_SECONDS", 0.01)
    monkeypatch.setattr(executor_watch, "_LAST_LOOK_SECONDS", 0.2)
    return words


@pytest.fixture
def watch(words):
    watch = ExecutorWatch(None, OneLaunch(), (said := queue.SimpleQueue()).put, 60.0)
    watch.said = said
    watch.start()
    yield watch
    watch.stop()


def hello(task=7, name=NAME):
    return worker_pb2.Hello(worker=name, gang=0, generation=1, task_attempt_id=task)


@pytest.mark.parametrize("preempted", [True, False])
def test_the_loss_of_a_worker_that_was_cut_is_explained(watch, words, preempted):
    watch.joined(hello())
    watch.cut(NAME)
    assert words.asked.get(timeout=SECONDS) == ("tag-0.1", 7)
    words.fates[7] = TaskFate("3", ended=True, lost=True, preempted=preempted, reason="it was taken away")
    assert watch.said.get(timeout=SECONDS) == events.LossExplained(NAME, preempted, "it was taken away")


def test_a_worker_that_has_left_is_not_lost(watch, words):
    words.fates = {7: TaskFate("3", ended=True), 8: TaskFate("4", ended=True, lost=True, reason="killed")}
    watch.joined(hello(7, "left"))
    watch.cut("left")
    watch.joined(hello(8))
    watch.cut(NAME)
    assert watch.said.get(timeout=SECONDS).worker == NAME
    watch.stop()
    assert watch.said.empty()


def test_workers_whose_executor_is_to_go_are_drained_once(watch, words):
    words.fates = {7: TaskFate("3"), 8: TaskFate("4"), 9: TaskFate("3")}
    for task, name in ((7, "a"), (8, "b"), (9, "c")):
        watch.joined(hello(task, name))
    words.leaving.add("3")
    drained = [watch.said.get(timeout=SECONDS) for _ in range(2)]
    assert {each.worker for each in drained} == {"a", "c"}
    assert {type(each) for each in drained} == {events.DrainRequested}
    watch.stop()
    assert watch.said.empty()


def test_a_worker_of_whom_nothing_is_known_is_not_asked_about(watch, words):
    watch.joined(worker_pb2.Hello(worker=NAME, gang=0, generation=1))
    watch.cut(NAME)
    watch.cut("nobody")
    watch.stop()
    assert words.asked.empty()


@pytest.mark.parametrize(
    ("text", "preempted"),
    [
        (LOST.format("unrelated"), True),
        (LOST.format("caused by one of the running tasks"), False),
        ("ExecutorLostFailure (executor 1 exited caused by one of the running tasks)", False),
        ("ValueError: no", False),
        ("", False),
    ],
)
def test_what_counts_as_preemption(text, preempted):
    assert is_preemption(text) is preempted


def test_spark_tells_of_the_tasks_of_a_job(spark):
    context = spark.sparkContext

    def own_id(_):
        from pyspark import TaskContext

        return TaskContext.get().taskAttemptId()

    context.addJobTag("told")
    try:
        (task,) = context.parallelize([0], 1).map(own_id).collect()
    finally:
        context.removeJobTag("told")
    context._jsc.sc().listenerBus().waitUntilEmpty()
    told = TaskFate("driver", ended=True, reason="its task has ended (success)")
    assert fate_of(spark, "told", task) == told
    assert fate_of(spark, "told", task + 1000) is None
    assert fate_of(spark, "nothing has this tag", task) is None
    assert not is_leaving(spark, "driver")
