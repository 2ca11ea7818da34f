"""Rules on what a trial may touch: its run, and the runs and models that it has made. Checks of paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from sparkopt.tracking.relay_protocol import Label, RelayError

_DECODINGS = 3


@dataclass(slots=True)
class OwnedEntities:
    """The runs and models of one trial, by their ids.

    Attributes:
        tid: the trial's id.
        run_id: the trial's run.
        runs: its run, and those that it has made.
        open_runs: those of them that it has made and not ended.
        models: each model that it has made, with the run that the model came from.
        steps: the largest step of each metric that it has logged to its run.
        attempt: the attempt that has asked last.
    """

    tid: int
    run_id: str
    runs: set[str] = field(default_factory=set)
    open_runs: set[str] = field(default_factory=set)
    models: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    attempt: int = 1

    def __post_init__(self) -> None:
        self.runs.add(self.run_id)

    def check_run(self, run_id: str) -> str:
        """The id, if it is of a run of this trial's.

        Raises:
            RelayError: if it is not.
        """
        if run_id not in self.runs:
            raise refused(f"run {run_id!r} is neither this trial's nor one that it has made")
        return run_id

    def check_made_run(self, run_id: str) -> str:
        """The id, if it is of a run that this trial has made.

        Raises:
            RelayError: if it is not.
        """
        if run_id == self.run_id:
            raise refused("the trial's own run is the driver's to end and to delete")
        return self.check_run(run_id)

    def check_model(self, model_id: str) -> str:
        """The id, if it is of a model of this trial's.

        Raises:
            RelayError: if it is not.
        """
        if model_id not in self.models:
            raise refused(f"model {model_id!r} was not made by this trial")
        return model_id

    def check_models(self, model_ids: Iterable[str]) -> None:
        """The same for several; empty ones are none."""
        for model_id in filter(None, model_ids):
            self.check_model(model_id)

    def check_label(self, label: Label) -> None:
        """Returns whether an artifact's owner is of this trial, and its path is a path.

        Raises:
            RelayError: if not.
        """
        if label.kind == "runs":
            self.check_run(label.owner)
        elif label.kind == "models":
            self.check_model(label.owner)
        else:
            raise refused(f"there are no artifacts of {label.kind!r}")
        check_path(label.path)


def refused(why: str) -> RelayError:
    """Something that a worker may not do."""
    return RelayError("PERMISSION_DENIED", f"refused: {why}")


def check_path(path: str) -> None:
    """Refuse what could lead out of the directory that it starts from, however it is written.

    A percent sign alone is no offence: older versions of MLflow put several into the name of an image, and
    what follows one may happen to be the code of a sign.

    Raises:
        RelayError: if it could.
    """
    parts = path.split("/")
    out = "\\" in path or "#" in path or not path.isprintable() or "." in parts or "" in parts[:-1]
    written = path
    for _ in range(_DECODINGS):
        parts = written.replace("\\", "/").split("/")
        out = (
            out or written.startswith(("/", "\\", "~")) or ".." in parts or ":" in parts[0] or "\0" in written
        )
        written = unquote(written)
    if out:
        raise RelayError("INVALID_PARAMETER_VALUE", f"Invalid path: {path!r} leads out of the artifacts")


def check_no_symlink(root: Path, path: str) -> None:
    """Refuse a path below a local directory that goes through a symbolic link.

    Raises:
        RelayError: if it does.
    """
    place = root
    for part in filter(None, path.split("/")):
        place /= part
        if place.is_symlink():
            raise RelayError(
                "INVALID_PARAMETER_VALUE", f"Invalid path: {path!r} goes through a symbolic link"
            )
