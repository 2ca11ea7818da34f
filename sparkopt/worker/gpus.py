"""GPUs of a worker's task: has its trials see these, and no others.

Spark tells a task which GPUs are its own, and hides none of the others. The libraries that compute on GPUs
use only those that an environment variable names. Process A sets it, as Spark uses its own Python process
again for other tasks.

    address          from                     variables
    0, 1, ...        most discovery scripts   CUDA_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES, ZE_AFFINITY_MASK
    0.1              Intel: a tile            ZE_AFFINITY_MASK
    GPU-5ebe9f43...  NVIDIA, AMD              CUDA_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES
    MIG-...          NVIDIA                   CUDA_VISIBLE_DEVICES
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

from sparkopt.errors import SparkoptError

RESOURCE: Final = "gpu"
"""Spark's name for GPUs among the resources of a task."""

_CUDA, _HIP, _LEVEL_ZERO = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"

_VARIABLES: Final = (
    (re.compile(r"\d+"), (_CUDA, _HIP, _LEVEL_ZERO)),
    (re.compile(r"\d+\.\d+"), (_LEVEL_ZERO,)),
    (re.compile(r"GPU-[0-9A-Fa-f-]+"), (_CUDA, _HIP)),
    (re.compile(r"MIG-[0-9A-Za-z/-]+"), (_CUDA,)),
)

_ORDER: Final = "CUDA_DEVICE_ORDER"
"""Variable that says which GPU is the first. Discovery scripts count as nvidia-smi does, by the bus; CUDA
would begin with the fastest."""


class GpuAddressError(SparkoptError):
    """Spark's discovery script names a GPU in a way that no library understands."""


def of_task(resources: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Addresses of a task's GPUs; none if Spark gave it none.

    Args:
        resources: addresses of the task's resources, by the resource's name.
    """
    return tuple(resources.get(RESOURCE, ()))


def variables_for(gpus: Sequence[str]) -> dict[str, str]:
    """Environment variables that show these GPUs and no others; none for no GPUs.

    Args:
        gpus: addresses, of one kind.

    Raises:
        GpuAddressError: if a library could not find them by their addresses.
    """
    if not gpus:
        return {}
    for pattern, names in _VARIABLES:
        if all(map(pattern.fullmatch, gpus)):
            found = dict.fromkeys(names, ",".join(gpus))
            return found | ({_ORDER: "PCI_BUS_ID"} if gpus[0].isdecimal() else {})
    raise GpuAddressError(
        f"the GPUs of this task have the addresses {', '.join(map(repr, gpus))}, which no library"
        " understands: have the discovery script (spark.worker.resource.gpu.discoveryScript or"
        " spark.executor.resource.gpu.discoveryScript) print numbers, such as 0, or identifiers that begin"
        " with GPU- or MIG-"
    )


def show(gpus: Sequence[str]) -> None:
    """Have this process, and those that it starts, see these GPUs alone; without GPUs, change nothing.

    Raises:
        GpuAddressError: as :func:`variables_for`.
    """
    os.environ.update(variables_for(gpus))
