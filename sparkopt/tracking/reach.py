"""Check of whether a tracking store answers, before a search begins, and the error if it does not."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from sparkopt.errors import TrackingError
from sparkopt.tracking.masking import mask, shown_cause

_REACH_SECONDS: Final = 10.0


def check_reach(uri: str) -> None:
    """Find whether anything answers at an HTTP address: mlflow would try for minutes.

    Raises:
        TrackingError: if nothing does.
    """
    if not uri.startswith(("http://", "https://")):
        return
    failed = _knock(uri)
    if failed is not None:
        raise unreachable(uri, failed) from shown_cause(failed, uri)


def _knock(uri: str) -> Exception | None:
    try:
        # Who asks makes no difference to whether there is an answer, and urllib takes no user in an address.
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


def unreachable(uri: str, error: Exception) -> TrackingError:
    """The error for a store that cannot be used, without what is secret in its address."""
    why = " ".join(str(error).split())
    return TrackingError(
        f"the MLflow tracking store {mask(uri)} cannot be used ({type(error).__name__}:"
        f" {mask(why, uri)[:500]}). Start it, or set another (mlflow.set_tracking_uri), or search without"
        " tracking: SparkTrials(tracking=False), or spark.databricks.mlflow.trackHyperopt.enabled=false"
    )
