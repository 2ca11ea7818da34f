"""Answers are compressed where that is worth it, and where it is asked for."""

from __future__ import annotations

import gzip

import pytest

from sparkopt.dashboard.compressed import compressed

LONG = b"12345678" * 1000


def ask(accepts, body=LONG, headers=(("Content-Type", "application/json"),)):
    seen = []

    def application(environ, start_response):
        seen.append(environ["HTTP_ACCEPT_ENCODING"])
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [body[:100], body[100:]]

    said = []
    given = {} if accepts is None else {"HTTP_ACCEPT_ENCODING": accepts}
    parts = compressed(application)(given, lambda status, headers: said.append(headers))
    data = b"".join(parts)
    names = {name.lower(): value for name, value in said[0]}
    assert names["content-length"] == str(len(data))
    assert names["vary"] == "Accept-Encoding"
    return names.get("content-encoding"), data, seen[0]


@pytest.mark.parametrize("accepts", ["gzip", "deflate, gzip;q=0.5", "br, GZIP"])
def test_what_is_long_is_compressed(accepts):
    encoding, data, seen = ask(accepts)
    assert (encoding, seen) == ("gzip", "gzip")
    assert gzip.decompress(data) == LONG
    assert len(data) < len(LONG) / 10


@pytest.mark.parametrize("accepts", [None, "", "identity", "br", "gzip;q=0", "gzip; q=0.0"])
def test_nobody_gets_it_who_does_not_take_it(accepts):
    assert ask(accepts) == (None, LONG, "identity")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"short", [("Content-Type", "application/json")]),
        (LONG, [("Content-Type", "image/png")]),
        (LONG, [("Content-Type", "text/css"), ("Content-Encoding", "gzip")]),
        (LONG, [("Content-Type", "text/css"), ("Content-Range", "bytes 0-7999/9000")]),
    ],
)
def test_what_is_short_or_compressed_or_a_part_is_left_as_it_is(body, headers):
    assert ask("gzip", body, headers)[1] == body
