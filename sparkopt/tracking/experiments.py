"""Experiment of a search that names one by ``Tracking(experiment=...)``: found, or made if there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException

from sparkopt.errors import TrackingError
from sparkopt.tracking.masking import mask, shown_cause
from sparkopt.tracking.store import is_denied, is_passing
from sparkopt.wire.arguments import shown

if TYPE_CHECKING:
    from mlflow.entities import Experiment


def experiment_id(uri: str, name: str) -> str:
    """Return the id of an experiment, which is made if there is none.

    Args:
        uri: of the store.
        name: of the experiment.

    Raises:
        TrackingError: if the experiment is deleted, or the store refuses the name.
        Exception: what the store raises if it cannot be used.
    """
    client = MlflowClient(tracking_uri=uri)
    found: Experiment | None = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # another search may have made it meanwhile
            if found is None:
                if is_passing(error) or is_denied(error):
                    raise
                why = mask(" ".join(str(error).split()), uri)[:500]
                raise TrackingError(
                    f"the tracking store takes no experiment named {shown(name)}, which"
                    f" Tracking(experiment=...) asks for: {why}. Name another"
                ) from shown_cause(error, uri)
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise TrackingError(
            f"the experiment {shown(name)}, which Tracking(experiment=...) asks for, has been deleted:"
            f" restore it (MlflowClient().restore_experiment({found.experiment_id!r})), or name another"
        )
    return str(found.experiment_id)
