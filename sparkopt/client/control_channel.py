"""Channel to a control service: its address, its encryption, and the token on each call."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc

from sparkopt.errors import ControlError, RefusedError, UnreachableError
from sparkopt.wire import addresses, forks
from sparkopt.wire.arguments import check_seconds, refuse_type, refuse_value
from sparkopt.wire.limits import AUTHORITY_NAME, CERTIFICATE_NAME, channel_options
from sparkopt.wire.statuses import control_error_of
from sparkopt.wire.tokens import bearer, is_token
from sparkopt.wire.v1 import control_pb2_grpc

M = TypeVar("M")

_LONGEST: Final = 1_000_000_000
"""Most seconds of a timeout: thirty years. A timeout that overflows gRPC's clock counts as over."""

_TIMEOUT: Final = f"a positive number of seconds, {_LONGEST:,} at most"

_TOO_OLD: Final = grpc.StatusCode.UNIMPLEMENTED


class ControlChannel:
    """A channel, and the calls on it.

    Args:
        address: ``host:port``.
        token: what each call carries.
        ca_cert: certificate by which the service is recognised: PEM, or its file.
        timeout: seconds that a call may take.

    Attributes:
        address: as given.
        timeout: as given.
        metadata: what each of them carries.

    Raises:
        RefusedError: if an argument makes no sense, or the token would travel in the clear.
    """

    def __init__(self, address: str, token: str, ca_cert: str | Path | bytes | None, timeout: float) -> None:
        forks.check("a client of the control service")
        if not isinstance(address, str):
            refuse_type("address", address, "host:port, as text")
        seconds = check_seconds("timeout", timeout, _TIMEOUT)
        if seconds > _LONGEST:
            refuse_value("timeout", timeout, _TIMEOUT)
        self.address = address
        self.timeout = seconds
        self.metadata = bearer(_checked_token(token))
        forks.hold()
        self._channel = _open_channel(address, ca_cert)
        self._stub = control_pb2_grpc.ControlServiceStub(self._channel)

    @property
    def stub(self) -> control_pb2_grpc.ControlServiceStub:
        """The calls.

        Raises:
            RefusedError: in a process that was forked after the channel was opened.
        """
        forks.check("a client of the control service")
        return self._stub

    def call(self, method: Callable[..., M], request: Any) -> M:
        """Make a call that is answered once.

        Raises:
            ControlError: if it was refused, or nobody answers.
        """
        try:
            return method(request, metadata=self.metadata, timeout=self.timeout)
        except grpc.RpcError as error:
            raise self.error(error) from None
        except ValueError as error:
            raise self.closed() from error

    def error(self, error: grpc.RpcError) -> ControlError:
        """Returns the exception for a failed call."""
        meant = control_error_of(error)
        if isinstance(meant, UnreachableError) and not meant.reason:
            return UnreachableError(
                f"nobody answers at {self.address}: {meant}. Is a pool open to control there, or a `sparkopt"
                " serve`? Off loopback it speaks TLS: is its certificate the one to trust (ca_cert,"
                " --ca-cert)?"
            )
        if error.code() is _TOO_OLD:
            return ControlError(f"what answers at {self.address} does not know this call: {meant}")
        return meant

    def closed(self) -> UnreachableError:
        """Returns the exception for a call on a closed client."""
        return UnreachableError(f"this client of {self.address} is closed", "CLIENT_CLOSED")

    def close(self) -> None:
        """End all calls and the connection. Idempotent."""
        if not forks.is_child():  # else they are the parent's
            self._channel.close()


def _checked_token(token: str) -> str:
    # The message must not show it.
    if not isinstance(token, str) or not is_token(token):
        raise RefusedError(
            "token must be text, 1 to 1,024 visible ASCII characters without a space: strip what you have"
            " read"
        )
    return token


def _open_channel(address: str, ca_cert: str | Path | bytes | None) -> grpc.Channel:
    try:
        host, port = addresses.split(address)
        if port == 0:
            raise ValueError("port 0 is where a service takes a free one, and not where it is found")
    except ValueError as error:
        raise RefusedError(f"there is no service at {address!r}: {error}") from None
    if ca_cert is None:
        if not addresses.is_loopback(host):
            raise RefusedError(
                f"without a certificate to trust, the token would travel to {host} in the clear, for others"
                " to read: name the service's certificate, or that of the authority that signed it"
                " (ca_cert=..., or --ca-cert on the command line)"
            )
        # Whatever proxy the environment names, this host is reached without it.
        return grpc.insecure_channel(address, [*channel_options(), ("grpc.enable_http_proxy", 0)])
    if not isinstance(ca_cert, (str, bytes, os.PathLike)):
        refuse_type("ca_cert", ca_cert, "None, PEM as bytes, or the path of its file")
    pem = ca_cert if isinstance(ca_cert, bytes) else _read(Path(ca_cert))
    options: list[tuple[str, Any]] = [*channel_options()]
    if _is_pools_own(pem):
        options.append(("grpc.ssl_target_name_override", CERTIFICATE_NAME))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(pem), options)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(f"ca_cert {path} cannot be read: {error.strerror or error}") from error


def _is_pools_own(pem: bytes) -> bool:
    """Returns whether a pool has made this for itself; the pool's name is then good at any address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise RefusedError(f"ca_cert holds no certificates in PEM: {error}") from error
    subjects = [known["subject"] for known in context.get_ca_certs()]
    return subjects == [((("commonName", AUTHORITY_NAME),),)]
