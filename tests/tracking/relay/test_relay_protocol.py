"""Messages of the relay that are not MLflow's: artifacts with their labels, addresses, and two in one."""

from __future__ import annotations

import pytest

from sparkopt.tracking import relay_protocol
from sparkopt.tracking.relay_protocol import Label


@pytest.mark.parametrize("content", [b"", b"content", b"x" * 100_000])
def test_an_artifact_and_its_label_part_again(content, tmp_path):
    label = Label("runs", "abc", "dir/ä.txt")
    data = content + relay_protocol.trailer(label)
    assert relay_protocol.cut_trailer(data) == (content, label)
    file = tmp_path / "body"
    file.write_bytes(data)
    assert relay_protocol.cut_trailer(file) == (file, label)
    assert file.read_bytes() == content


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff\xff\xff\xff", b"\0\0\0\x09{}"])
def test_an_artifact_without_a_label(data, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(data)
    for body in (data, file):
        with pytest.raises(ValueError, match="label"):
            relay_protocol.cut_trailer(body)


def test_addresses():
    uri = relay_protocol.artifact_uri("models", "m-1")
    assert relay_protocol.parse_artifact_uri(uri) == Label("models", "m-1", "")
    assert relay_protocol.parse_artifact_uri(f"{uri}/a/b") == Label("models", "m-1", "a/b")
    for other in ("file:/runs/a/artifacts", "sparkopt-trial:/runs/a", "sparkopt-trial:/x/a/artifacts"):
        with pytest.raises(ValueError, match="is not an address of a trial"):
            relay_protocol.parse_artifact_uri(other)


def test_two_are_parted():
    assert relay_protocol.part(relay_protocol.join(b"first", b"second")) == (b"first", b"second")
    assert relay_protocol.part(relay_protocol.join(b"", b"")) == (b"", b"")
