"""Certificates made anew for each pool: an authority that signs one certificate and is then forgotten.

Clients trust the authority. Every TLS library expects one, and some refuse a server that signs for itself.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sparkopt.wire.limits import AUTHORITY_NAME, CERTIFICATE_NAME

_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Certificate:
    """Certificate of a server and its key, as PEM.

    Attributes:
        chain: its certificate, and those above it.
        key: the private key.
        trusted: what a client has to trust.
    """

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    trusted: bytes = field(repr=False)


def new_certificate(hosts: Iterable[str] = ()) -> Certificate:
    """A certificate for a pool, valid for a year from an hour ago.

    Args:
        hosts: names and addresses that clients know the server by. Beside them it is good for
            :data:`~sparkopt.wire.limits.CERTIFICATE_NAME`.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name, name = _name(AUTHORITY_NAME), _name(CERTIFICATE_NAME)
    names = x509.SubjectAlternativeName(_alternatives([CERTIFICATE_NAME, *hosts]))
    authority = (
        _begun(authority_name, authority_name, authority_key, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _begun(name, authority_name, key, authority_key)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        authority.public_bytes(serialization.Encoding.PEM),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(hosts: Iterable[str]) -> list[x509.GeneralName]:
    """Each host once, as an address if it is one."""
    found: dict[str, x509.GeneralName] = {}
    for host in hosts:
        try:
            found[host] = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            found[host] = x509.DNSName(host if host.isascii() else host.encode("idna").decode())
    return list(found.values())
