"""Logged models of a trial: the part of the relay that only MLflow 3 has, with models as entities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelInput, LoggedModelOutput, LoggedModelStatus
from mlflow.protos import service_pb2 as pb

from sparkopt.tracking import versions
from sparkopt.tracking.ownership import OwnedEntities, refused
from sparkopt.tracking.relay_protocol import artifact_uri


class Models:
    """Answers requests that are about models.

    Args:
        client: of the tracking store.
        experiment_id: of the study's runs.
        direct: whether workers learn where artifacts are.

    Attributes:
        calls: what answers a message, by the message's name.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, direct: bool = False) -> None:
        self._client = client
        self._direct = direct
        self._experiment_id = experiment_id
        self.calls: dict[str, Callable[[OwnedEntities, Any], Any]] = {
            "CreateLoggedModel": self._create,
            "DeleteLoggedModelTag": self._delete_tag,
            "FinalizeLoggedModel": self._finalize,
            "GetLoggedModel": self._get,
            "LogLoggedModelParamsRequest": self._log_params,
            "LogOutputs": self._log_outputs,
            "SearchLoggedModels": self._search,
            "SetLoggedModelTags": self._set_tags,
        }

    def inputs(self, trial: OwnedEntities, message: Any) -> list[LoggedModelInput]:
        """The models that a message names as inputs of a run.

        Raises:
            RelayError: if one is not the trial's.
        """
        trial.check_models(each.model_id for each in message.models)
        return [LoggedModelInput.from_proto(each) for each in message.models]

    def _shown(self, model: LoggedModel) -> Any:
        """A model as a worker sees it."""
        shown = model.to_proto()
        if self._direct:
            where = versions.direct_address(model.artifact_location, self._client.tracking_uri)
            shown.info.artifact_uri = where
        else:
            shown.info.artifact_uri = artifact_uri("models", model.model_id)
        return shown

    def _create(self, trial: OwnedEntities, message: Any) -> Any:
        if message.experiment_id != self._experiment_id:
            raise refused("a trial makes models in the experiment of its search only")
        source = trial.check_run(message.source_run_id or trial.run_id)
        model = self._client.create_logged_model(
            self._experiment_id,
            name=message.name or None,
            source_run_id=source,
            tags={each.key: each.value for each in message.tags},
            params={each.key: each.value for each in message.params},
            model_type=message.model_type or None,
        )
        trial.models[model.model_id] = source
        return pb.CreateLoggedModel.Response(model=self._shown(model))

    def _get(self, trial: OwnedEntities, message: Any) -> Any:
        model = self._client.get_logged_model(trial.check_model(message.model_id))
        return pb.GetLoggedModel.Response(model=self._shown(model))

    def _finalize(self, trial: OwnedEntities, message: Any) -> Any:
        model_id = trial.check_model(message.model_id)
        status = LoggedModelStatus.from_proto(message.status)
        model = self._client.finalize_logged_model(model_id, status)
        return pb.FinalizeLoggedModel.Response(model=self._shown(model))

    def _log_outputs(self, trial: OwnedEntities, message: Any) -> None:
        run_id = trial.check_run(message.run_id)
        trial.check_models(each.model_id for each in message.models)
        self._client.log_outputs(run_id, [LoggedModelOutput.from_proto(each) for each in message.models])

    def _log_params(self, trial: OwnedEntities, message: Any) -> None:
        params = {each.key: each.value for each in message.params}
        self._client.log_model_params(trial.check_model(message.model_id), params)

    def _set_tags(self, trial: OwnedEntities, message: Any) -> None:
        tags = {each.key: each.value for each in message.tags}
        self._client.set_logged_model_tags(trial.check_model(message.model_id), tags)

    def _delete_tag(self, trial: OwnedEntities, message: Any) -> None:
        self._client.delete_logged_model_tag(trial.check_model(message.model_id), message.tag_key)

    def _search(self, trial: OwnedEntities, message: Any) -> Any:
        """Only among the trial's, whatever the filter says; so there are few, and all are on one page."""
        response = pb.SearchLoggedModels.Response()
        for run_id in set(trial.models.values()):
            ours = f"source_run_id = '{run_id}'"
            found = self._client.search_logged_models(
                [self._experiment_id], f"{message.filter} AND {ours}" if message.filter else ours
            )
            response.models.extend(self._shown(each) for each in found if each.model_id in trial.models)
        return response
