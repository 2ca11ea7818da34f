"""Artifacts of runs and models on the driver: put, listed and fetched, by several threads at once.

No large file is read into memory: it comes as a file, and the store's own repository streams it on. Whoever
calls has made sure that the owner is the trial's and that the path is a path.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mlflow import MlflowClient
from mlflow.protos.service_pb2 import ListArtifacts
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from sparkopt.tracking import versions
from sparkopt.tracking.ownership import check_no_symlink
from sparkopt.tracking.relay_protocol import Label, RelayError, artifact_uri
from sparkopt.wire.limits import INLINE_BYTES

_MODEL_FILE: Final = "MLmodel"
"""Describes a model, and says where it is."""

_MODEL_FILE_BYTES: Final = 16 * 1024 * 1024


class Files:
    """The artifacts of everything that a study's trials own.

    Args:
        client: of the tracking store.
        insist: calls a function that stores a file, again if need be.
    """

    def __init__(
        self, client: MlflowClient, insist: Callable[[Callable[[], None]], None] = lambda store: store()
    ) -> None:
        self._client = client
        self._insist = insist
        self._places: dict[tuple[str, str], str] = {}
        self._repositories: dict[tuple[str, str], ArtifactRepository] = {}
        self._lock = threading.Lock()
        self._directory: Path | None = None

    def note(self, kind: str, owner: str, uri: str) -> None:
        """Note where artifacts are, so that nobody need ask the store for it."""
        self._places[kind, owner] = uri

    def put(self, label: Label, content: bytes | Path) -> None:
        """Store content as a file. A file is moved, and back if that fails.

        Raises:
            RelayError: if the path is not a file's.
            Exception: what the store has raised.
        """
        repository = self._repository(label)
        directory, _, name = label.path.rpartition("/")
        if not name:
            raise RelayError("INVALID_PARAMETER_VALUE", f"Invalid path: {label.path!r} is not a file's")
        with tempfile.TemporaryDirectory(dir=self._files()) as staging:
            file = Path(staging, name)
            if isinstance(content, Path):
                shutil.move(content, file)
            else:
                file.write_bytes(content)
            if name == _MODEL_FILE:
                _replace(file, artifact_uri(label.kind, label.owner), repository.artifact_uri)
            try:
                self._insist(lambda: repository.log_artifact(str(file), directory or None))
            except BaseException:
                if isinstance(content, Path):
                    shutil.move(file, content)
                raise

    def list(self, label: Label) -> bytes:
        """Returns what is in a directory, as a message of MLflow's."""
        found = self._repository(label).list_artifacts(label.path or None)
        data: bytes = ListArtifacts.Response(files=[each.to_proto() for each in found]).SerializeToString()
        return data

    def get(self, label: Label) -> bytes | Path:
        """Returns what is in a file; if that is much, a copy of it, which is the caller's to remove."""
        repository = self._repository(label)
        copy = self._files() / uuid.uuid4().hex
        try:
            repository._download_file(label.path, str(copy))
            if label.path.rpartition("/")[2] == _MODEL_FILE:
                _replace(copy, repository.artifact_uri, artifact_uri(label.kind, label.owner))
            if copy.stat().st_size >= INLINE_BYTES:
                return copy
            content = copy.read_bytes()
        except FileNotFoundError:  # older versions of MLflow let it through, with the place of the artifacts
            copy.unlink(missing_ok=True)
            message = f"No such artifact: {label.path!r}"
            raise RelayError("RESOURCE_DOES_NOT_EXIST", message) from None
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        copy.unlink()
        return content

    def forget(self, kind: str, owner: str) -> None:
        """Nobody asks for these artifacts any more."""
        self._places.pop((kind, owner), None)
        self._repositories.pop((kind, owner), None)

    def close(self) -> None:
        """Remove what is left in the temporary directory."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _repository(self, label: Label) -> ArtifactRepository:
        """Returns where the artifacts really are."""
        repository = self._repositories.get((label.kind, label.owner))
        if repository is None:
            if (noted := self._places.get((label.kind, label.owner))) is not None:
                uri = noted
            elif label.kind == "runs":
                uri = self._client.get_run(label.owner).info.artifact_uri
            else:
                uri = self._client.get_logged_model(label.owner).artifact_location
            repository = versions.artifact_repository(uri, self._client.tracking_uri)
            self._repositories[label.kind, label.owner] = repository
        if is_local_uri(repository.artifact_uri):
            check_no_symlink(Path(local_file_uri_to_path(repository.artifact_uri)), label.path)
        return repository

    def _files(self) -> Path:
        with self._lock:
            if self._directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="sparkopt-artifacts-"))
            return self._directory


def _replace(file: Path, before: str, after: str) -> None:
    """Write another address in a model's description."""
    if file.stat().st_size <= _MODEL_FILE_BYTES:
        file.write_bytes(file.read_bytes().replace(before.encode(), after.encode()))
