"""Tokens and certificates that a pool is given for its control service, checked before anything starts."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sparkopt.control.options import Control, FilePath
from sparkopt.coordinator.transport.certificates import Certificate
from sparkopt.errors import RefusedError
from sparkopt.wire.token_files import read_or_make_token
from sparkopt.wire.tokens import new_token


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that calls must carry.

    Attributes:
        control: to do anything.
        read_only: to look only.
    """

    control: str = field(repr=False)
    read_only: str = field(repr=False)

    @classmethod
    def of(cls, control: Control) -> Tokens:
        """Read or make the tokens: those that were given, those of the files, or new ones.

        Raises:
            RefusedError: if a file will not do, or both tokens are the same.
        """
        tokens = cls(
            _token(control.token, control.token_file),
            _token(control.read_only_token, control.read_only_token_file),
        )
        if tokens.control == tokens.read_only:
            raise RefusedError(
                "the control token and the read-only token are the same: give the read-only token a value, or"
                " a file, of its own"
            )
        return tokens


def _token(given: str | None, file: FilePath | None) -> str:
    if given is not None:
        return given
    return new_token() if file is None else read_or_make_token(file)


def users_certificate(control: Control) -> Certificate | None:
    """The user's own certificate and key, if there are any.

    Raises:
        RefusedError: if a file cannot be read, is not what it should be, or they do not belong together; or
            if the certificate is not valid today.
    """
    if control.tls_cert is None or control.tls_key is None:
        return None
    certificate, key = _read("tls_cert", control.tls_cert), _read("tls_key", control.tls_key)
    try:
        chain = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        raise _refused("tls_cert", control.tls_cert, "holds no certificate in PEM") from None
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except TypeError:
        raise _refused("tls_key", control.tls_key, "is encrypted: give one that is not") from None
    except ValueError:
        raise _refused("tls_key", control.tls_key, "holds no private key in PEM") from None
    if _public(chain[0].public_key()) != _public(private.public_key()):
        raise _refused("tls_key", control.tls_key, f"is not the key of the certificate in {control.tls_cert}")
    now = datetime.datetime.now(datetime.timezone.utc)
    begins, ends = chain[0].not_valid_before_utc, chain[0].not_valid_after_utc
    if not begins <= now <= ends:
        why = f"is valid from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC only"
        raise _refused("tls_cert", control.tls_cert, why)
    return Certificate(certificate, key, trusted=certificate)


def _read(name: str, path: FilePath) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _refused(name, path, f"cannot be read: {error.strerror or error}") from None


def _refused(name: str, path: FilePath, why: str) -> RefusedError:
    return RefusedError(f"{name}: {os.fspath(path)} {why}")


def _public(key: object) -> bytes:
    if not hasattr(key, "public_bytes"):
        return b""
    data: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data
