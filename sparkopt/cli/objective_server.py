"""``sparkopt serve``: a pool whose objective is evaluated on the points that clients send.

load ──▶ Spark session ──▶ WorkerPool(control=...) ──▶ open_evaluation ──▶ wait ──▶ everything ended
│
a signal, StopStudy, or the pool is lost ─┘
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sparkopt import __version__
from sparkopt.control import Control
from sparkopt.errors import RefusedError, SparkoptError
from sparkopt.hyperopt.space_evaluation import WorkerPool
from sparkopt.spark import session as spark

if TYPE_CHECKING:
    from sparkopt.control.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Options:
    """Options of ``sparkopt serve``.

    Attributes:
        objective: ``MODULE:FUNCTION``.
        space: ``MODULE:NAME``; None to hand points on as they come.
        master: the Spark master to run on.
        parallelism: how many trials may run at once; None for Spark's default.
        elastic: whether workers come and go with executors; None for what suits the cluster.
        idle_seconds: seconds after which an elastic worker without a trial leaves; None for 60.
        control: where to listen, and who may call. Its token is in a file.
        start_timeout: seconds that the start of the workers may stand still; None for 60.
        trial_timeout: seconds that a trial may take; None for no limit.
        max_attempts: how many workers a trial may take down.
        ship_modules: as of ``open_evaluation``.
        grace: seconds that running trials get when a signal ends it.
    """

    objective: str
    space: str | None
    master: str
    parallelism: int | None
    elastic: bool | None
    idle_seconds: float | None
    control: Control
    start_timeout: float | None
    trial_timeout: float | None
    max_attempts: int
    ship_modules: bool | tuple[str, ...]
    grace: float


def run(options: Options, console: Console) -> None:
    """Serve, until a signal or a client ends it.

    Raises:
        SparkoptError: if it cannot begin, or the pool has lost its workers.
        SystemExit: if a signal came before it was ready; 128 and the signal's number.
    """
    signals = _Signals(options.grace, console)
    signals.take()
    try:
        _serve(options, signals, console)
    except _Interrupted as interruption:
        raise SystemExit(128 + interruption.signal) from None
    finally:
        signals.give_back()
    _say(console, "Ended.")


def _serve(options: Options, signals: _Signals, console: Console) -> None:
    _importable(Path.cwd())
    fn = load(options.objective, "the objective")
    if not callable(fn):
        raise RefusedError(f"{options.objective} is a {type(fn).__name__}, and an objective is called")
    space = None if options.space is None else load(options.space, "the space")
    with _session(options.master) as session:
        signals.take()  # Spark has put a handler of its own in their place
        with (
            WorkerPool(
                options.parallelism,
                spark_session=session,
                start_timeout=options.start_timeout,
                control=options.control,
                elastic=options.elastic,
                idle_seconds=options.idle_seconds,
            ) as pool,
            pool.open_evaluation(
                fn,
                space,
                trial_timeout=options.trial_timeout,
                max_attempts=options.max_attempts,
                ship_modules=options.ship_modules,
            ) as evaluation,
        ):
            signals.end(evaluation)
            _announce(options, pool, session.version, console)
            evaluation.wait()
            if not signals.count:
                _say(console, "A client has stopped the study.")


def load(reference: str, what: str) -> Any:
    """Load what ``MODULE:NAME`` names; the name may be dotted.

    Args:
        reference: the module and the name.
        what: it is to be, for messages.

    Raises:
        RefusedError: if there is no such thing.
    """
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise RefusedError(f"{what} is named by MODULE:NAME, as in 'train:objective', got {reference!r}")
    found: Any = _module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise RefusedError(f"module {module_name} ({_place(module_name)}) has no {name!r}")
        found = getattr(found, part)
    return found


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may raise whatever its author wrote
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise RefusedError(
                f"there is no module {missing!r}, neither in {Path.cwd()} nor where Python looks for modules"
            ) from None
        frames = error.__traceback__
        while frames is not None and _is_import_machinery(frames.tb_frame):
            frames = frames.tb_next
        told = "".join(traceback.format_exception(type(error), error, frames)).rstrip()
        raise RefusedError(f"module {name} cannot be imported:\n\n{told}") from None


def _is_import_machinery(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in ("importlib", "sparkopt")


def _place(module: str) -> str:
    return str(getattr(sys.modules[module], "__file__", None) or "a namespace package")


def _importable(directory: Path) -> None:
    """Have this process, and workers on this machine, find the modules of a directory."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(directory), *([before] if before else [])])


@contextmanager
def _session(master: str) -> Iterator[spark.Session]:
    """A Spark session of our own."""
    try:
        session = spark.get_session(settings={"spark.master": master, "spark.log.level": "ERROR"})
    except SparkoptError:
        raise
    except Exception as error:
        told = str(error).strip() or type(error).__name__
        raise RefusedError(f"Spark did not start on {master}: {told}") from error
    try:
        yield session
    finally:
        if not spark.is_stopped(session):  # else its Java is gone, and there is nobody to tell
            session.stop()


class _Interrupted(BaseException):
    """A signal came before there was anything that could be ended in its own way."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class _Signals:
    """SIGINT and SIGTERM: the first lets running trials finish, within the grace; the second cancels them.

    Attributes:
        count: how many have come since it was ready.

    Args:
        grace: seconds.
        console: to say what happens.
    """

    def __init__(self, grace: float, console: Console) -> None:
        self.count = 0
        self._grace = grace
        self._console = console
        self._evaluation: Evaluation | None = None
        self._before: dict[signal.Signals, Any] = {}

    def take(self) -> None:
        """Handle them from now on, whoever else does."""
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, self._handle)
            self._before.setdefault(number, before)

    def give_back(self) -> None:
        """Have them handled as they were before."""
        for number, before in self._before.items():
            signal.signal(number, before)

    def end(self, evaluation: Evaluation) -> None:
        """This is what they end from now on."""
        self._evaluation = evaluation

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._evaluation is None:
            raise _Interrupted(number)
        self.count += 1
        if self.count == 1:
            self._evaluation.stop(finish_running=True, grace=self._grace)
            what = f"running trials get {self._grace:g} s to finish; another signal cancels them"
        else:
            self._evaluation.stop()
            what = "running trials are cancelled"
        _say(self._console, f"{signal.Signals(number).name}: {what}.")


def _announce(options: Options, pool: WorkerPool, version: str, console: Console) -> None:
    control, address = options.control, pool.control_address
    token_file = control.token_file
    certificate = control.tls_cert
    if certificate is None and pool.control_certificate is not None:
        certificate = Path(os.fspath(token_file or "sparkopt")).with_suffix(".pem")
        certificate.write_bytes(pool.control_certificate)
    how = f"--address {address} --token-file {token_file}"
    trust = "" if certificate is None else f" --ca-cert {certificate}"
    space = "" if options.space is None else f", points of {options.space}"
    come_and_go = ", by workers that come and go" if pool.elastic else ""
    for line in (
        f"sparkopt {__version__}, Spark {version} on {options.master}: {options.objective}{space}",
        f"Listening at {address}, for {pool.parallelism} trials at once{come_and_go}; the token is in"
        f" {token_file}",
        *(["To look at it, from any shell of yours: sparkopt status"] if control.listed else []),
        f"{'From elsewhere' if control.listed else 'To look at it'}: sparkopt status {how}{trust}",
        "Ready for points. Ctrl-C, SIGTERM or sparkopt stop ends it.",
    ):
        _say(console, line)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
