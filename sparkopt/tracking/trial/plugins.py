"""Plugins that MLflow finds by its entry points: an answer for addresses of a trial's, outside of it.

Inside a trial, session.py registers the store and the artifact repository that work, in code: nothing need be
installed on executors as a plugin for it. An address that has got out of its trial is explained here.
"""

from __future__ import annotations

from typing import Any, NoReturn


def tracking_store(store_uri: str, artifact_uri: str | None = None, **_: Any) -> NoReturn:
    """Refuse a tracking URI that is good inside a trial only."""
    raise _outside(store_uri)


def artifact_repository(artifact_uri: str, *_: Any, **__: Any) -> NoReturn:
    """Refuse the address of an artifact that is good inside a trial only."""
    raise _outside(artifact_uri)


def model_registry_store(store_uri: str, **_: Any) -> NoReturn:
    """Refuse the model registry, in a trial as well."""
    from mlflow.exceptions import MlflowException

    raise MlflowException(
        "models cannot be registered, or looked up in the registry, inside a trial. Register the best one on"
        ' the driver, after fmin: mlflow.register_model(f"models:/{model_id}", name).'
    )


def _outside(uri: str) -> Exception:
    from mlflow.exceptions import MlflowException

    return MlflowException(f"{uri} is an address inside a trial of sparkopt's, and can only be used there")
