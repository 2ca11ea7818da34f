"""Messages to words and back, and what is refused on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkopt.core.states import Lease, Outcome, TrialKey
from sparkopt.errors import ProtocolError
from sparkopt.wire.convert import to_attempt, to_lease, to_outcome
from sparkopt.wire.v1 import trial_pb2

leases = st.builds(
    Lease,
    st.builds(TrialKey, st.text(min_size=1), st.integers(-(2**63), 2**63 - 1)),
    st.integers(1, 2**32 - 1),
)


@given(leases)
def test_a_lease_survives_the_wire(lease):
    data = to_attempt(lease).SerializeToString()
    assert to_lease(trial_pb2.Attempt.FromString(data)) == lease


@pytest.mark.parametrize(
    "attempt",
    [
        trial_pb2.Attempt(),
        trial_pb2.Attempt(study="blue", tid=1),
        trial_pb2.Attempt(tid=1, attempt=1),
    ],
    ids=["empty", "no number", "no study"],
)
def test_an_attempt_that_names_none_is_refused(attempt):
    with pytest.raises(ProtocolError, match="a study and a number from 1"):
        to_lease(attempt)


def test_what_a_worker_may_say():
    assert to_outcome(trial_pb2.OUTCOME_KIND_OK) is Outcome.OK
    assert to_outcome(trial_pb2.OUTCOME_KIND_FAILED) is Outcome.FAILED
    assert to_outcome(trial_pb2.OUTCOME_KIND_CANCELLED) is Outcome.CANCELLED


@pytest.mark.parametrize("kind", [trial_pb2.OUTCOME_KIND_UNSPECIFIED, trial_pb2.OUTCOME_KIND_LOST, 99])
def test_what_a_worker_may_not_say(kind):
    with pytest.raises(ProtocolError, match=str(kind)):
        to_outcome(kind)
