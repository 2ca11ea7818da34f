"""Requests of SubmitTrials, read point by point: as one message, a large one would be read in one stretch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from sparkopt.control.values import values_of
from sparkopt.coordinator.transport.time_slices import TimeSlices
from sparkopt.errors import BadRequestError
from sparkopt.wire.fields import fields_of
from sparkopt.wire.v1 import control_pb2

MOST_POINTS: Final = 1000

_FIELDS: Final = control_pb2.SubmitTrialsRequest.DESCRIPTOR.fields_by_name
_STUDY: Final = _FIELDS["study"].number
_POINTS: Final = _FIELDS["points"].number


@dataclass(frozen=True, slots=True)
class Submission:
    """A SubmitTrialsRequest.

    Attributes:
        study: the name of the search; empty for the only one.
        points: their messages' bytes.
    """

    study: str
    points: Sequence[bytes]

    @classmethod
    async def read(cls, request: bytes, time_slices: TimeSlices) -> Submission:
        """Cut a request into its points, which nobody has looked at yet.

        Raises:
            BadRequestError: if it is not such a request, or has no points or too many.
        """
        study, points = b"", []
        try:
            async with time_slices.begin() as time_slice:
                for number, content in fields_of(request):
                    if number == _STUDY:
                        study = content
                    elif number == _POINTS:
                        points.append(content)
                        if len(points) > MOST_POINTS:
                            raise _bad_count("more")
                    await time_slice.breathe()
            name = study.decode()
        except (DecodeError, UnicodeDecodeError) as error:
            raise BadRequestError(f"the message cannot be read: {error}", "BAD_MESSAGE") from None
        if not points:
            raise _bad_count("none")
        return cls(name, points)

    async def values(self, time_slices: TimeSlices) -> list[Mapping[str, Any]]:
        """The values of its points.

        Raises:
            BadRequestError: if one says nothing that can be understood, or too much.
        """
        found = []
        async with time_slices.begin() as time_slice:
            for index, point in enumerate(self.points):
                found.append(_values(index, point))
                await time_slice.breathe()
        return found


def _bad_count(got: str) -> BadRequestError:
    return BadRequestError(f"points must be 1 to {MOST_POINTS:,}, got {got}", "BAD_POINT", "points")


def _values(index: int, point: bytes) -> Mapping[str, Any]:
    field = f"points[{index}]"
    try:
        return values_of(point)
    except BadRequestError as error:
        raise BadRequestError(f"{field}: {error}", error.reason, field) from error
