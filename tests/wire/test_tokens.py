"""Who is let in."""

from __future__ import annotations

import pytest

from sparkopt.wire.tokens import bearer, is_authorized, new_token


def test_the_right_token_is_let_in():
    token = new_token()
    assert is_authorized(bearer(token), token)
    assert is_authorized((("user-agent", "x"), *bearer(token)), token)


def test_a_value_of_bytes_is_read_as_well():
    assert is_authorized((("authorization", b"Bearer secret"),), "secret")
    assert not is_authorized((("authorization", b"Bearer \xff"),), "secret")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        (),
        (("user-agent", "Bearer secret"),),
        (("authorization", ""),),
        (("authorization", "secret"),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer secre"),),
        (("authorization", "Bearer secret "),),
        (("authorization", "bearer secret"),),
        (("authorization", "Bearer sécret"),),
        (("authorization", "Basic secret"), ("authorization", "Bearer secret")),
    ],
)
def test_everything_else_is_not(metadata):
    assert not is_authorized(metadata, "secret")


def test_tokens_are_long_and_differ():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43
