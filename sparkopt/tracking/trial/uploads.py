"""Files of a trial on their way to the driver. Loads no MLflow."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkopt.tracking import relay_protocol
from sparkopt.tracking.relay_protocol import Label
from sparkopt.wire.limits import INLINE_BYTES


def put(ask: Callable[[str, bytes | Path], Any], directory: Path, file: Path, label: Label) -> None:
    """Send a file to the driver.

    Args:
        ask: asks the driver; see :meth:`sparkopt.worker.reports.Reporter.ask`, without the lane.
        directory: where files have to be that are sent.
        file: what is sent; it stays.
        label: of the artifact that it becomes.
    """
    end = relay_protocol.trailer(label)
    if file.stat().st_size + len(end) <= INLINE_BYTES:
        ask(relay_protocol.PUT, file.read_bytes() + end)
        return
    handle, name = tempfile.mkstemp(dir=directory, prefix="request-")
    with os.fdopen(handle, "wb") as copy, file.open("rb") as content:
        shutil.copyfileobj(content, copy, INLINE_BYTES)
        copy.write(end)
    ask(relay_protocol.PUT, Path(name))
