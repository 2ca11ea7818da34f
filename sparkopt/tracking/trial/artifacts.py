"""MLflow's artifact repository inside a trial: files go to the driver and come from there, in chunks."""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.protos.service_pb2 import ListArtifacts
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils.async_logging.run_operations import RunOperations

from sparkopt.tracking import relay_protocol
from sparkopt.tracking.relay_protocol import Label
from sparkopt.tracking.trial import uploads
from sparkopt.tracking.trial.relay_store import Line


class RelayArtifactRepository(ArtifactRepository):
    """The artifacts of a run or a model.

    Args:
        uri: made by :func:`~sparkopt.tracking.relay_protocol.artifact_uri`, with or without a path behind it.
        line: finds the way to the driver.
    """

    def __init__(self, uri: str, line: Callable[[], Line], *args: Any, **kwargs: Any) -> None:
        super().__init__(uri, *args, **kwargs)
        self._root = relay_protocol.parse_artifact_uri(uri)
        self._line = line

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Send a file to the driver."""
        file = Path(local_file)
        self._put(file, posixpath.join(artifact_path or "", file.name))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Send every file below a directory."""
        top = Path(local_dir)
        for directory, _, names in os.walk(top):
            for name in names:
                file = Path(directory, name)
                below = file.relative_to(top).as_posix()
                self._put(file, posixpath.join(artifact_path or "", below))

    def _log_artifact_async(
        self, filename: str, artifact_path: str | None = None, artifact: Any = None
    ) -> RunOperations:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, filename)
            artifact.save(path)
            self.log_artifact(str(path), artifact_path)
        return RunOperations([])

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Returns what is in a directory; nothing if it is a file."""
        data = self._line().ask_for_bytes(relay_protocol.LIST, self._label(path or "").encode())
        prefix = f"{self._root.path}/" if self._root.path else ""
        return [
            FileInfo(each.path.removeprefix(prefix), each.is_dir, each.file_size)
            for each in ListArtifacts.Response.FromString(data).files
        ]

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Refused."""
        raise MlflowException("a trial can add artifacts, and not delete any", PERMISSION_DENIED)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        answer = self._line().ask(relay_protocol.GET, self._label(remote_file_path).encode())
        if isinstance(answer, bytes):
            Path(local_path).write_bytes(answer)
        else:
            shutil.move(answer, local_path)

    def _label(self, path: str) -> Label:
        joined = posixpath.join(self._root.path, path) if path else self._root.path
        return Label(self._root.kind, self._root.owner, joined)

    def _put(self, file: Path, path: str) -> None:
        line = self._line()
        uploads.put(line.ask, line.directory, file, self._label(path))
