"""Places for journals: which kind of journal a path or an address gets, and what messages say of it.

    a path on a local disk                      a file of SQLite's
    a path on a network, or on FUSE; file://    a directory with a log of objects
    a path with a slash at its end              the same
    s3://, gs://, abfs://, hdfs://, ...         a log of objects in that store

What is there already decides before that: a file is SQLite's, and a directory has a log.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from sparkopt.errors import JournalError, RefusedError
from sparkopt.study.file_arguments import file_path
from sparkopt.study.journal.journal import Journal
from sparkopt.study.journal.search_journal import SearchJournal
from sparkopt.study.journal.segments.arrow_store import ArrowStore
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore, ObjectStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from sparkopt.study.journal.segments.store_calls import Calls, UnansweredError

_ADDRESS: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>.+)", re.DOTALL)

_ALMOST: Final = re.compile(
    r"(?P<scheme>file(?=:)|[A-Za-z][A-Za-z0-9+.-]+(?=:/)):(?P<slashes>/*)(?P<rest>.*)", re.DOTALL
)
"""An address that lacks something, such as the second slash."""

_FORMS: Final = "a path, or an address such as s3://bucket/searches/mine or file:///path/to/a/directory"

_READ_ONLY: Final = frozenset({"http", "https", "data", "git", "github", "gist"})
"""Schemes of what can be read and not written."""

_REMOTE: Final = re.compile(
    r"fuse(\..*)?|nfs4?|cifs|smb[23s]?(fs)?|ceph|lustre|gpfs|beegfs|afs|glusterfs|davfs|9p2000.*"
)
"""Types of file systems that may have neither locks nor appends that can be relied on."""

_MOUNTS: Final = Path("/proc/self/mountinfo")

_SHOWN: Final = frozenset(
    {
        *("region", "scheme", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion"),
        *("allow_delayed_open", "tls_ca_file_path", "force_virtual_addressing", "anonymous"),
        *("replication", "buffer_size", "default_block_size", "user", "enable_tls"),
        *("blob_storage_authority", "dfs_storage_authority", "retry_limit_seconds"),
    }
)
"""Parameters of addresses that are no secrets."""

_SECRET: Final = 4
"""Least characters of what is taken out of messages: anything shorter is in too many words."""


def is_address(place: object) -> bool:
    """Says if this is an address, and not a path."""
    return isinstance(place, str) and _ADDRESS.fullmatch(place) is not None


def shown(place: object) -> str:
    """A path or an address as messages may have it: without secrets."""
    if not isinstance(place, str) or not is_address(place):
        return os.fspath(place) if isinstance(place, os.PathLike) else str(place)
    scheme, user, rest, query = _parts(place)
    if ":" in user:
        user = "***"
    shown = urlencode([(key, value if key in _SHOWN else "***") for key, value in query], safe="*:/")
    return f"{scheme}://{user}{'@' if user else ''}{rest}{'?' if query else ''}{shown}"


def _parts(address: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """The scheme, the user with a password, the host with the path, and the parameters.

    A password may hold what it must not, such as a slash: all up to the last ``@`` is the user's if there is
    a colon before any slash.
    """
    scheme, _, rest = address.partition("://")
    rest, _, query = rest.partition("?")
    before, at, after = rest.rpartition("@")
    if not at or ("/" in before and ":" not in before.partition("/")[0]):
        before, after = "", rest
    return scheme, before, after, parse_qsl(query, keep_blank_values=True)


def hiding(place: object) -> Callable[[str], str]:
    """Returns what takes an address's secrets out of a text: libraries put addresses into their messages."""
    if not isinstance(place, str) or not is_address(place):
        return str
    _, user, _, query = _parts(place)
    secrets = [user, user.partition(":")[2]] if ":" in user else []
    secrets += [value for key, value in query if key not in _SHOWN]
    texts = {
        text
        for secret in secrets
        if len(secret) >= _SECRET
        for text in (secret, unquote(secret), quote(secret, ""))
    }

    def hide(text: str) -> str:
        text = text.replace(place, shown(place))
        for secret in sorted(texts, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    return hide


def without_secrets(place: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """The same place; None if there is none, or its address holds a secret."""
    return place if place is not None and shown(place) == os.fspath(place) else None


def check_place(place: object) -> None:
    """See that this can be the place of a journal, as far as that can be told without looking there.

    Raises:
        RefusedError: if it cannot.
    """
    if not is_address(place):
        _check_path(place)
        return
    assert isinstance(place, str)
    if "\0" in place:
        raise RefusedError(f"journal {shown(place)!r} holds a null character: name a place without one")
    if "#" in place:
        raise RefusedError(f"journal {shown(place)} holds a #, which ends an address: write %23 for it")
    try:
        parts = urlsplit(place)
    except ValueError as error:
        raise RefusedError(f"journal {shown(place)} is not an address: {error}") from None
    if parts.scheme in _READ_ONLY:
        raise RefusedError(
            f"journal {shown(place)} is at a place that can be read only: name one that can be written, as"
            f" {_FORMS}"
        )
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or parts.path.strip("/") == "":
            raise RefusedError(
                f"journal {shown(place)} must name a directory of this machine: file:///path/to/it"
            )
        if parts.query:
            raise RefusedError(f"journal {shown(place)} holds a ?: a directory has no parameters, write %3F")
    elif not parts.path.strip("/"):
        raise RefusedError(
            f"journal {shown(place)} names a whole bucket or host: name a place in it, such as"
            f" {parts.scheme}://{_parts(place)[2].strip('/')}/searches/mine"
        )


def _check_path(place: object) -> None:
    given = os.fspath(place) if isinstance(place, os.PathLike) else place
    if not isinstance(given, str):
        raise RefusedError(f"journal must be {_FORMS}; got {place!r:.100}, a {type(place).__name__}")
    if (almost := _ALMOST.match(given)) is not None:
        raise RefusedError(_as_address(almost, given is not place))
    if given.strip(os.sep) == "" and given:
        raise RefusedError(f"journal {given} is the root of the file system: name a place in it")
    file_path(given.rstrip(os.sep), "journal")


def _as_address(almost: re.Match[str], was_path: bool) -> str:
    """Says how an address is written that lacks something."""
    scheme, slashes, rest = almost["scheme"].lower(), almost["slashes"], almost["rest"]
    if scheme == "file":
        meant = f"file:///{rest or 'path/to/a/directory'}"
    elif scheme == "dbfs" and rest:
        meant = f"/dbfs/{rest}"
    else:
        meant = f"{scheme}://{rest or 'bucket/searches/mine'}"
    why = ", as text: a Path leaves out one of the slashes" if was_path else ""
    return f"journal {scheme}:{slashes}... is not an address: write {shown(meant)}{why}"


def store_of(place: str | os.PathLike[str]) -> ObjectStore | None:
    """The store of objects at a place; None if a journal there is a file of SQLite's.

    Raises:
        RefusedError: if nothing that is installed can reach it.
        JournalError: if what is asked for that does not answer.
    """
    try:
        return Calls(Pace().answer).once(lambda _: _store_of(place))
    except UnansweredError as error:
        raise JournalError(f"the journal {shown(place)} cannot be read: {error}") from None


def _store_of(place: str | os.PathLike[str]) -> ObjectStore | None:
    check_place(place)
    if is_address(place):
        assert isinstance(place, str)
        parts = urlsplit(place)
        if parts.scheme == "file":
            return DirectoryStore(_in_a_directory(Path(unquote(parts.path))))
        return ArrowStore.of(place, hiding(place))
    path = Path(place)
    is_directory = os.fspath(place).endswith(os.sep) or path.is_dir()
    if is_directory or (not os.path.lexists(path) and _is_remote(path)):
        return DirectoryStore(_in_a_directory(path))
    return None


def open_journal(place: str | os.PathLike[str]) -> SearchJournal:
    """Open the journal at a path or an address, or begin one there.

    Raises:
        RefusedError: if it cannot be one, or is something else.
        JournalError: if it cannot be read.
    """
    store = store_of(place)
    return Journal(place) if store is None else SegmentJournal(store, shown(place), hide=hiding(place))


def _in_a_directory(path: Path) -> Path:
    if not path.parent.is_dir():
        raise RefusedError(
            f"journal {path} cannot be made: there is no directory {path.parent}. Make it, or name another."
        )
    if os.path.lexists(path) and not path.is_dir():
        raise RefusedError(f"journal {path} is a file: name a directory, or one that can be made")
    return path


def _is_remote(path: Path) -> bool:
    """Says if a path is on a file system of another machine's, or of a program's."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        return _REMOTE.fullmatch(file_system_of(path.parent.resolve(), lines)) is not None
    except OSError:
        return False


def file_system_of(directory: Path, mounts: Iterable[str]) -> str:
    """The type of the file system that a directory is on; empty if that is not known.

    Args:
        directory: links followed.
        mounts: lines as ``/proc/self/mountinfo`` has them.
    """
    longest, found = -1, ""
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
        if point in (directory, *directory.parents) and len(point.parts) >= longest:
            longest, found = len(point.parts), after.split(" ")[0]
    return found
