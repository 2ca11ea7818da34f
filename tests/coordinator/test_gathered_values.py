"""Intermediate values reach a study before the end of their trial, also where it does not wait."""

from __future__ import annotations

from types import SimpleNamespace

from sparkopt.coordinator import StudyChannel
from sparkopt.coordinator.channels.study_events import ReportedValues, Settled
from sparkopt.core.states import Outcome


def test_values_that_come_while_others_are_taken_at_a_deadline_precede_the_end():
    channel = StudyChannel(SimpleNamespace())
    heard = []

    def hear(values):
        heard.append(values)
        if len(heard) == 1:
            channel.put_values(ReportedValues(7, 1, [2], [0.2]))
            channel.put_settled(Settled(7, 1, Outcome.OK))

    channel.on_values = hear
    channel.put_values(ReportedValues(7, 1, [1], [0.1]))
    assert channel.next_settled(0) is None
    assert channel.next_settled(0).tid == 7
    assert len(heard) == 2
