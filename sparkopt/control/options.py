"""Settings of a pool's control service."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from sparkopt.errors import RefusedError
from sparkopt.wire import addresses
from sparkopt.wire.arguments import check_flag, refuse_type
from sparkopt.wire.tokens import is_token

_EXPECTED: Final = "None, True, False, host:port or a Control"

FilePath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Control:
    """Opens a pool to control over gRPC.

    Example:
        >>> pool = WorkerPool(2, control=Control(listen="0.0.0.0:7727", token_file="search.token"))

    Attributes:
        listen: ``host:port`` to listen at, an IPv6 host in brackets; port 0 takes a free one, and 0.0.0.0 and
            [::] every interface. Off loopback it speaks TLS only.
        token: token for every call; by default a new one.
        read_only_token: token for calls that only look; by default a new one.
        token_file: a file with the token, instead of ``token``. If it does not exist it is made, with a new
            token, readable by its owner only; one that others can read is refused.
        read_only_token_file: the same for the read-only token.
        tls_cert: a file with your own certificate (PEM, followed by its chain if there is one); by default
            one is made for the pool. With your own, the service speaks TLS on loopback too.
        tls_key: the file with its private key (PEM, not encrypted).
        listed: whether the address, the token and the certificate are kept in ``~/.sparkopt`` while the pool
            is open, readable by this user only, so that the `sparkopt` commands find it.

    Raises:
        RefusedError: if an argument makes no sense. Files are looked at when the pool is made.
    """

    listen: str = "127.0.0.1:0"
    token: str | None = field(default=None, repr=False)
    read_only_token: str | None = field(default=None, repr=False)
    token_file: FilePath | None = None
    read_only_token_file: FilePath | None = None
    tls_cert: FilePath | None = None
    tls_key: FilePath | None = None
    listed: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.listen, str):
            refuse_type("listen", self.listen, "host:port")
        for name in ("token_file", "read_only_token_file", "tls_cert", "tls_key"):
            path = getattr(self, name)
            if path is not None and not isinstance(path, (str, os.PathLike)):
                refuse_type(name, path, "None or a path")
        try:
            addresses.split(self.listen)
        except ValueError as error:
            raise RefusedError(f"cannot listen at {self.listen!r}: {error}") from None
        for name in ("token", "read_only_token"):
            token = getattr(self, name)
            if token is None:
                continue
            if getattr(self, f"{name}_file") is not None:
                raise RefusedError(f"{name} and {name}_file were both given: give one of them")
            if not isinstance(token, str) or not is_token(token):
                raise RefusedError(
                    f"{name} must be 1 to 1,024 visible ASCII characters without a space: it travels in a"
                    " header"
                )
        if not isinstance(self.listed, bool):
            raise RefusedError(f"listed must be True or False, got {self.listed!r}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise RefusedError("tls_cert and tls_key belong together: give both, or none")

    @classmethod
    def of(cls, value: bool | str | Control | None) -> Control | None:
        """Settings of a ``control=`` argument: whether to serve, where to listen, or all of them."""
        if isinstance(value, Control):
            return value
        if isinstance(value, str):
            return cls(listen=value)
        return cls() if value is not None and check_flag("control", value, _EXPECTED) else None
