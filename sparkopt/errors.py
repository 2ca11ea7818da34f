"""Every exception and warning that sparkopt raises.

SparkoptError
├── RefusedError                 bad input, found before anything was started
│   ├── ArgumentTypeError        an argument of the wrong type, or an unknown one (a TypeError)
│   ├── ArgumentValueError       an argument with a value that is not allowed (a ValueError)
│   ├── NotPicklableError        the objective or the space cannot be shipped to workers
│   ├── SparkInObjectiveError    the objective uses Spark itself
│   ├── SparkSettingError        barrier jobs were asked for, and a Spark setting rules them out
│   └── UnsupportedArgumentError an argument that cannot be used with Spark workers
├── PoolError                    the workers as a whole
│   ├── NoSlotsError             Spark has no slot to run a worker in
│   ├── PoolStartError           the workers did not come up
│   ├── PoolLostError            the workers went away and did not come back
│   ├── PoolCancelledError       somebody cancelled the workers' Spark job, or stopped its session
│   └── PoolClosedError          the pool was closed under a running study
├── MissingModuleError           workers lack a module that the objective needs
├── PrunerError                  the pruner of a search has raised an error
├── JournalError                 the journal cannot be read or written, or is too damaged to go on from
├── SaveFileError                the trials could not be saved at the end of a search (OSError)
├── TrackingError                MLflow or its store cannot be used
├── JavaNotFoundError            no Java that Spark can run on
├── TrialError                   recorded for a trial whose objective neither returned nor raised
│   ├── EvaluatorDiedError       the process that ran the objective ended
│   ├── TrialTimeoutError        the trial took longer than trial_timeout
│   ├── StorageError             a disk did not take what the trial had to store
│   ├── ResultError              the result of a point from outside cannot be sent to its client
│   ├── TrialLostError           every worker that tried the trial was lost
│   └── TrialCancelledError      somebody asked for the trial to end
├── ObjectiveError               what an objective has raised, where that cannot be sent to the driver
├── RequestFailedError           a request of an objective to the driver was refused, or failed
├── AllTrialsFailedError         a study ended without a single result
├── ControlError                 a call of a control service was not carried out
│   ├── BadRequestError          the request is wrong
│   ├── NotFoundError            no study, trial or worker of that name
│   ├── WrongStateError          not possible now, or not with this kind of study
│   ├── NotAuthorizedError       the token is missing, wrong, or read-only
│   ├── LimitExceededError       too many, too often or too slow
│   ├── EventsForgottenError     the events that a watch should begin with are not kept any more
│   ├── StudyStoppedError        the study was stopped
│   └── UnreachableError         nobody answers, or the pool is closing
├── WireError                    a message over gRPC is wrong
│   ├── ProtocolError            a message that is not allowed at this point
│   ├── BlobNotFoundError        the requested bytes are not here
│   ├── UnknownWorkerError       a call in the name of a worker that is not here
│   └── ImpostorError            a call in the name of another worker
└── RemoteTraceback              not raised: the cause of a local exception, as text from a worker

TrialPruned (BaseException)      ends the objective of a trial that will not win

SparkoptWarning (UserWarning)
├── FailedTrialsWarning          trials have failed: the first as it happens, and all of them at the end
├── ParallelismWarning           the parallelism is not what was asked for, or not what it should be
├── LargeObjectiveWarning        the objective carries so much that shipping it takes long
├── CrowdedHostWarning           the objectives of a host use more threads than it has cores
├── SaveFileWarning              the trials could not be saved in mid-search
├── JournalWarning               the journal was damaged; what was recovered and what was not
├── ControlWarning               the pool is open to control, and commands do not find it by themselves
└── TrackingWarning              the tracking store does not have everything, or nothing; why
"""

from __future__ import annotations

import shutil
import socket
import sys
import traceback
import warnings
from pathlib import Path
from typing import Final

_NOT_THE_USERS: Final = ("sparkopt", "hyperopt", "contextlib")


class SparkoptError(Exception):
    """The root of everything that sparkopt raises."""


class RefusedError(SparkoptError):
    """Bad input, found before anything was started."""


class ArgumentTypeError(RefusedError, TypeError):
    """An argument of the wrong type, or an unknown keyword; the message says what is expected."""


class ArgumentValueError(RefusedError, ValueError):
    """An argument with a value that is not allowed; the message says what is expected."""


class NotPicklableError(RefusedError):
    """The objective or the space cannot be shipped to workers; the message names the part."""


class SparkInObjectiveError(RefusedError):
    """The objective uses Spark itself, which only works on the driver."""


class SparkSettingError(RefusedError):
    """Barrier jobs were asked for (``elastic=False``), and a Spark setting rules them out."""


class UnsupportedArgumentError(RefusedError):
    """An argument that cannot be used with Spark workers."""


class PoolError(SparkoptError):
    """Something is wrong with the workers as a whole."""


class NoSlotsError(PoolError):
    """Spark has no slot to run a worker in."""


class PoolStartError(PoolError):
    """The workers did not come up."""


class PoolLostError(PoolError):
    """The workers went away and did not come back."""


class PoolCancelledError(PoolError):
    """Somebody cancelled the Spark job that the workers ran in, or stopped its session."""


class PoolClosedError(PoolError):
    """The pool was closed under a running study."""


class MissingModuleError(SparkoptError):
    """Workers lack a module that the objective needs; the message says which, and how to send it."""


class PrunerError(SparkoptError):
    """The pruner of a search has raised an error, the cause of this one. Finished trials are kept."""

    @classmethod
    def of(cls, error: BaseException) -> PrunerError:
        """The error for what a pruner has raised, whatever it is and even if it has no text."""
        made = cls(f"the pruner has raised {''.join(traceback.format_exception_only(error)).strip()}")
        made.__cause__ = error
        return made


class JournalError(SparkoptError):
    """The journal cannot be read or written (a full disk, for example), or is damaged beyond repair."""


class SaveFileError(SparkoptError, OSError):
    """The trials could not be written to ``trials_save_file`` at the end of the search; they are kept."""


class TrackingError(SparkoptError):
    """MLflow or its store cannot be used: found before anything starts, or where the study's run ends."""


class JavaNotFoundError(SparkoptError):
    """There is no Java that Spark can run on."""


class TrialError(SparkoptError):
    """Error recorded for a trial whose objective neither returned nor raised."""


class EvaluatorDiedError(TrialError):
    """The process that ran the objective ended: a signal, ``os._exit``, no memory."""


class TrialTimeoutError(TrialError):
    """The objective took longer than ``trial_timeout``, and its process was killed."""


class StorageError(TrialError):
    """A disk did not take what a trial had to store on its way: an argument, a result, a report."""

    @classmethod
    def of(cls, error: OSError, what: str, directory: Path) -> StorageError:
        """Make one of the disk's error: names the directory, and what to do.

        Args:
            error: from the disk.
            what: was to be stored, with its article.
            directory: where.
        """
        try:
            room = f"{shutil.disk_usage(directory).free:,} bytes free there"
        except OSError:
            room = "it is gone"
        return cls(
            f"{what} could not be stored in {directory} on {socket.gethostname()} ({room}):"
            f" {error.strerror or error}. Make room, or have TMPDIR name a directory with more."
        )


class ResultError(TrialError):
    """The objective's result cannot be sent as JSON to the client; the message names the part or the size."""


class TrialLostError(TrialError):
    """Every worker that tried the trial was lost while it ran."""


class TrialCancelledError(TrialError):
    """Somebody asked for the trial to end: a timeout, an early stop, the user."""


class TrialPruned(BaseException):
    """Stops the objective of a trial that will not win, as its intermediate values show.

    ``sparkopt.report`` raises it in the objective. Let it pass: the trial ends as pruned. It is no
    ``Exception``, so that no ``except Exception``, the objective's or a library's, takes it for an error.
    An objective may raise it itself.

    Example:
        >>> def objective(x):
        ...     if x < 0:
        ...         raise sparkopt.TrialPruned("no need to train this one")
        ...     return x**2
        >>> objective(3)
        9
    """


class ObjectiveError(SparkoptError):
    """An objective has raised what cannot be sent to the driver; the message has its type and text."""


class RequestFailedError(SparkoptError):
    """An objective's request of the driver was refused, or failed; the message says why."""


class AllTrialsFailedError(SparkoptError):
    """A study ended without a single result; the cause is the first failure's remote traceback."""


class ControlError(SparkoptError):
    """A call of a control service was not carried out.

    Raised by the service, sent as a gRPC status, and raised again by :class:`~sparkopt.client.ControlClient`.

    Attributes:
        reason: a name in capitals, of those that control.proto lists with each call.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class BadRequestError(ControlError):
    """A wrong request; the message names the field.

    Attributes:
        field: the field at fault, as in the proto: ``points[3]``; empty if it is not a single one.
    """

    def __init__(self, message: str, reason: str = "", field: str = "") -> None:
        super().__init__(message, reason)
        self.field = field


class NotFoundError(ControlError):
    """No study, trial or worker of that name."""


class WrongStateError(ControlError):
    """The call is not possible now, or not with this kind of study."""


class NotAuthorizedError(ControlError):
    """The token is missing, wrong, or read-only."""


class LimitExceededError(ControlError):
    """Too many calls or streams, calls that come too often, or a client that reads too slowly.

    Attributes:
        retry_after: seconds after which it may be tried again; None if that is not known.
    """

    def __init__(self, message: str, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, reason)
        self.retry_after = retry_after


class EventsForgottenError(ControlError):
    """The events that a watch should begin with are not kept any more."""


class StudyStoppedError(ControlError):
    """The study was stopped while it was evaluated from outside."""


class UnreachableError(ControlError):
    """Nobody answers at the address, or the pool there is closing."""


class WireError(SparkoptError):
    """A message over gRPC is wrong."""


class ProtocolError(WireError):
    """A message that is not allowed at this point."""


class BlobNotFoundError(WireError):
    """The requested bytes are not here."""


class UnknownWorkerError(WireError):
    """A call in the name of a worker that is not here, or has left."""


class ImpostorError(WireError):
    """A call in the name of another worker."""


class RemoteTraceback(SparkoptError):
    """A traceback from a worker, as text. Chained as the cause of the local exception."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @classmethod
    def of(cls, error: BaseException) -> RemoteTraceback:
        """The traceback of an exception at hand."""
        return cls("".join(traceback.format_exception(error)))

    def __str__(self) -> str:
        return f"\n\nRemote traceback:\n{self.text}"


class SparkoptWarning(UserWarning):
    """The root of everything that sparkopt warns of."""


class FailedTrialsWarning(SparkoptWarning):
    """Trials have failed: the first as it happens, and at the end how many, and why."""


class ParallelismWarning(SparkoptWarning):
    """The parallelism is not what was asked for, or not what it should be."""


class LargeObjectiveWarning(SparkoptWarning):
    """The objective carries so much that shipping it to each worker takes long."""


class CrowdedHostWarning(SparkoptWarning):
    """The objectives that run on a host use more threads than it has cores."""


class SaveFileWarning(SparkoptWarning):
    """The trials could not be written to ``trials_save_file`` in mid-search; it is tried again."""


class JournalWarning(SparkoptWarning):
    """The journal was damaged, and not all of it could be recovered."""


class ControlWarning(SparkoptWarning):
    """The pool is open to control, and `sparkopt` does not find it without being told where it is."""


class TrackingWarning(SparkoptWarning):
    """The tracking store does not have everything, or nothing, of the search; the message says why."""


def warn(message: str, category: type[SparkoptWarning]) -> None:
    """Warn of something, at the line of the user's code that has led to it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package_of(frame.f_globals) in _NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package_of(module: dict[str, object]) -> str:
    return str(module.get("__name__", "")).partition(".")[0]
