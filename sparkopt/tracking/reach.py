"""Checks before a search begins: that its tracking store answers, and that workers can store artifacts."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from sparkopt.errors import TrackingError
from sparkopt.tracking.masking import mask, shown_cause

START_IT: Final = "Start it, set the credentials that it takes, or set another (mlflow.set_tracking_uri)"
"""What to do if a store does not answer, or does not let this process in: MLflow does not say which."""

_REACH_SECONDS: Final = 10.0

_ASKS_STORE: Final = frozenset({"dbfs", "models", "runs", "mlflow-artifacts", "uc", "databricks"})
"""Schemes of artifacts for which MLflow asks the tracking store, which workers do not know, for an address
that is signed or for the place itself."""


def check_reach(uri: str) -> None:
    """Check that a store at an HTTP address answers: MLflow would try for minutes.

    Raises:
        TrackingError: if nothing answers.
    """
    if not uri.startswith(("http://", "https://")):
        return
    failed = _knock(uri)
    if failed is not None:
        raise unusable(uri, failed) from shown_cause(failed, uri)


def _knock(uri: str) -> Exception | None:
    try:
        # Credentials make no difference to whether there is an answer, and urllib takes none in an address.
        parts = urlsplit(uri)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        with urllib.request.urlopen(bare, timeout=_REACH_SECONDS):
            return None
    except urllib.error.HTTPError:  # an answer
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if "CERTIFICATE" in str(reason).upper():
            return None  # mlflow has settings of its own for that
        return error


def check_direct(artifact_uri: str) -> None:
    """Refuse to have workers store artifacts by themselves if MLflow needs the tracking store for that.

    Args:
        artifact_uri: of the search's run, as workers are told it.

    Raises:
        TrackingError: if MLflow needs it.
    """
    scheme, colon, _ = artifact_uri.partition(":")
    if colon and scheme.lower() in _ASKS_STORE:
        raise TrackingError(
            f"Tracking(artifacts='direct') cannot be used with this experiment: its artifacts are at"
            f" {mask(artifact_uri)}, and for the scheme {scheme} MLflow asks the tracking store, which"
            " workers cannot reach. Leave artifacts='direct' out, or use an experiment with its artifacts in"
            " an object store, on a file system that all machines share, or behind a tracking server"
            " (--serve-artifacts)"
        )


def unusable(uri: str, error: Exception, remedy: str = START_IT) -> TrackingError:
    """The error for a store that cannot be used, without what is secret in its address.

    Args:
        uri: the store's.
        error: what it has raised.
        remedy: what to do.
    """
    why = " ".join(str(error).split())
    return TrackingError(
        f"the MLflow tracking store {mask(uri)} cannot be used ({type(error).__name__}:"
        f" {mask(why, uri)[:500]}). {remedy}, or search without tracking: tracking=False, or"
        " spark.databricks.mlflow.trackHyperopt.enabled=false"
    )
