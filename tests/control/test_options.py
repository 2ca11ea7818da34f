"""What a pool is told of its control service is checked before anything starts."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from cryptography.hazmat.primitives import serialization

from sparkopt import Control
from sparkopt.control import ControlServer
from sparkopt.errors import RefusedError
from sparkopt.wire.token_files import read_or_make_token, read_token
from tests.support.certificates import make_certificate

SECRET = "Bs3cretWord"


def refused(**given) -> str:
    """Why a server of this is refused."""
    with pytest.raises(RefusedError) as caught:
        ControlServer(Control(**given))
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:65535", "0.0.0.0:50051", "driver.example:1"])
def test_addresses_to_listen_at(listen):
    assert Control(listen=listen).listen == listen


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("", "host:port"),
        ("50051", "host:port"),
        (":50051", "host:port"),
        ("localhost", "host:port"),
        ("localhost:", "port"),
        ("localhost:http", "port"),
        ("localhost:-1", "port"),
        ("localhost:65536", "port"),
        ("localhost:٣", "port"),
        ("::1:50051", "brackets"),
        ("[::1]", "brackets"),
        ("[localhost]:1", "IPv6"),
        ("unix:/tmp/socket:1", "brackets"),
        ("dns/host:1", "not a host"),
        ("user@host:1", "not a host"),
    ],
)
def test_what_is_no_address_is_refused(listen, why):
    assert why in refused(listen=listen)


@pytest.mark.parametrize("name", ["token", "read_only_token"])
@pytest.mark.parametrize("token", ["", f"{SECRET} 2", f"{SECRET}\n", f"{SECRET}é", SECRET * 100])
def test_a_token_that_is_no_header_value_is_refused(name, token):
    assert f"{name} must be" in refused(**{name: token})


@pytest.mark.parametrize("name", ["token", "read_only_token"])
def test_a_token_and_a_file_of_it_are_refused(name, tmp_path):
    assert f"{name}_file were both given" in refused(**{name: SECRET, f"{name}_file": tmp_path / "token"})


def test_the_read_only_token_is_another_one(tmp_path):
    assert "are the same" in refused(token=SECRET, read_only_token=SECRET)
    file = tmp_path / "token"
    assert "are the same" in refused(token_file=file, read_only_token_file=file)


@pytest.mark.parametrize("listed", ["no", 1, None])
def test_listed_is_yes_or_no(listed):
    assert "listed must be" in refused(listed=listed)


def test_tokens_are_made_where_none_are_given():
    servers = [ControlServer(Control()) for _ in range(2)]
    assert len({token for each in servers for token in (each.token, each.read_only_token)}) == 4
    assert ControlServer(Control(token=SECRET)).token == SECRET


def test_secrets_are_in_no_repr():
    control = Control(token=SECRET, read_only_token=SECRET[::-1])
    assert SECRET not in repr(control)
    assert SECRET[::-1] not in repr(control)
    assert SECRET not in repr(ControlServer(control))


# Token files.


@pytest.mark.parametrize("name", ["token", "read_only_token"])
def test_a_token_file_is_made_for_its_owner_only_and_read_the_next_time(name, tmp_path):
    file = tmp_path / "token"
    first, second = (ControlServer(Control(**{f"{name}_file": str(file)})) for _ in range(2))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == getattr(first, name) == getattr(second, name)
    assert list(tmp_path.iterdir()) == [file]


def test_of_several_that_make_one_file_all_have_the_same_token(tmp_path):
    start, tokens = threading.Barrier(8), []

    def make() -> None:
        start.wait()
        tokens.append(read_or_make_token(tmp_path / "token"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 8
    assert len(set(tokens)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602, 0o666])
def test_a_token_file_that_others_can_read_is_refused(mode, tmp_path):
    file = tmp_path / "token"
    file.write_text(SECRET)
    file.chmod(mode)
    assert f"chmod 600 {file}" in refused(token_file=file)


def test_a_token_file_of_another_user_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.touch(0o600)
    os.chown(file, 65534, -1) if os.geteuid() == 0 else monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert "another user" in refused(token_file=file)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (f"{SECRET}\nand more".encode(), "is not a token"),
        (f"{SECRET}é".encode(), "is not a token"),
        (SECRET.encode() + b"\xff", "is not a token"),
        (SECRET.encode() * 1000, "is not a token"),
    ],
)
def test_a_token_file_without_a_token_is_refused(content, why, tmp_path):
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_bytes(content)
    assert why in refused(token_file=file)


def test_what_cannot_be_a_token_file_is_refused(tmp_path):
    assert "cannot be read" in refused(token_file=tmp_path)
    assert "cannot be made" in refused(token_file=tmp_path / "missing" / "token")


def test_who_only_reads_makes_no_file(tmp_path):
    with pytest.raises(RefusedError, match="there is no token file"):
        read_token(tmp_path / "token")
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(f"{SECRET}\n")
    assert read_token(file) == SECRET


# Certificates.


def test_the_users_certificate_is_taken(tmp_path):
    certificate, key = make_certificate(tmp_path)
    server = ControlServer(Control(tls_cert=str(certificate), tls_key=key))
    assert server.certificate == certificate.read_bytes()
    assert "PRIVATE" not in repr(server)


def test_certificate_and_key_belong_together(tmp_path):
    (certificate, key), (another, _) = make_certificate(tmp_path), make_certificate(tmp_path, "another")
    assert "give both" in refused(tls_cert=certificate)
    assert "give both" in refused(tls_key=key)
    assert "is not the key of the certificate" in refused(tls_cert=another, tls_key=key)


def test_files_that_are_no_certificate_or_key_are_refused(tmp_path):
    certificate, key = make_certificate(tmp_path)
    assert "cannot be read" in refused(tls_cert=tmp_path / "missing", tls_key=key)
    assert "cannot be read" in refused(tls_cert=certificate, tls_key=tmp_path)
    assert "holds no certificate" in refused(tls_cert=key, tls_key=key)
    assert "holds no private key" in refused(tls_cert=certificate, tls_key=certificate)


def test_an_encrypted_key_is_refused(tmp_path):
    encryption = serialization.BestAvailableEncryption(b"password")
    certificate, key = make_certificate(tmp_path, encryption=encryption)
    assert "is encrypted" in refused(tls_cert=certificate, tls_key=key)


@pytest.mark.parametrize("days", [(-2, -1), (1, 2)], ids=["expired", "not yet"])
def test_a_certificate_that_is_not_valid_today_is_refused(days, tmp_path):
    certificate, key = make_certificate(tmp_path, days=days)
    assert "is valid from" in refused(tls_cert=certificate, tls_key=key)
