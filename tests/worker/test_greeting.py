"""A worker's name and hello: who it is, in which of its lives, and which attempt of its Spark task."""

from __future__ import annotations

import pytest

from sparkopt.worker.greeting import Greeting
from sparkopt.worker.spec import FIRST_ATTEMPT, Birth, Endpoint, TaskAttempt, WorkerSpec, slot_of

SPEC = WorkerSpec(Endpoint("127.0.0.1:1", "token"), gang=3, generation=2)


def greeting(task=FIRST_ATTEMPT, life=1):
    return Greeting(SPEC, 5, Birth("key", life, task), ["1"])


@pytest.mark.parametrize(
    ("task", "life", "name", "formerly"),
    [
        (FIRST_ATTEMPT, 1, "gang3.2/worker5", ""),
        (FIRST_ATTEMPT, 2, "gang3.2/worker5.2", "gang3.2/worker5"),
        (TaskAttempt(1, 77), 1, "gang3.2/worker5-retry1", ""),
        (TaskAttempt(4, 78), 3, "gang3.2/worker5-retry4.3", "gang3.2/worker5-retry4.2"),
    ],
)
def test_every_life_and_every_attempt_of_the_task_has_a_name_of_its_own(task, life, name, formerly):
    hello = greeting(task, life).hello()
    assert (hello.worker, hello.formerly, hello.key) == (name, formerly, "key")
    assert (hello.gang, hello.generation, slot_of(name)) == (3, 2, 5)


def test_a_hello_says_which_attempt_of_its_task_a_worker_is():
    hello = greeting(TaskAttempt(1, 77)).hello()
    assert (hello.task_attempt, hello.task_attempt_id) == (1, 77)
    assert not greeting().hello().HasField("task_attempt_id")


def test_the_next_life_has_the_next_name():
    it = greeting(TaskAttempt(1, 77))
    it.begin_next_life()
    assert (it.name, it.life) == ("gang3.2/worker5-retry1.2", 2)
    assert it.hello().formerly == "gang3.2/worker5-retry1"
