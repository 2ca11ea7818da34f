"""``sparkopt pack``: an archive of this environment for executors, and the settings that use it.

conda's environments    conda-pack    the archive has its own Python
those of venv           venv-pack     it has a link to the Python that the environment was made with
"""

from __future__ import annotations

import enum
import platform
import sys
from pathlib import Path
from typing import Any, Final

import click

from sparkopt.cli.exits import EXIT_CODES
from sparkopt.cli.printing import printable

_DIRECTORY: Final = "environment"
"""Name under which Spark unpacks the archive in each task's directory."""

_ENDINGS: Final = (".tar.gz", ".tgz")
"""Kinds of archives that Spark unpacks with their links and permissions."""


class Kind(enum.Enum):
    """A kind of environment, and the package that packs it."""

    def __new__(cls, module: str, package: str) -> Kind:
        """A member, with the module of its package."""
        member = object.__new__(cls)
        member._value_ = member.package = package
        member.module = module
        return member

    module: str
    package: str

    CONDA = "conda_pack", "conda-pack"
    """One of conda, mamba or micromamba."""
    VENV = "venv_pack", "venv-pack2"
    """One of venv, virtualenv or uv."""


@click.command(epilog=EXIT_CODES)
@click.option(
    "-o",
    "--output",
    default="environment.tar.gz",
    show_default=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The archive, whose name ends with .tar.gz or .tgz.",
)
@click.option("--force", is_flag=True, help="Replace the archive if it is there.")
@click.option(
    "--python-prefix",
    metavar="DIRECTORY",
    help="For a venv: where executors have the Python that the environment was made with, such as /usr for"
    " /usr/bin/python3.11.  [default: where it is here]",
)
def pack(output: Path, force: bool, python_prefix: str | None) -> None:
    """Pack this Python environment for executors.

    For clusters whose executors lack what workers or objectives need. The environment is that of the Python
    that runs this command, with everything in it; sparkopt itself is sent to executors anyway. Then the
    settings are printed that have Spark bring the archive to executors and use its Python, for a classic
    session and for one of Spark Connect. Executors need the same system and processor as this machine.

    Needs conda-pack or venv-pack2, by what kind of environment this is (pip install 'sparkopt[pack]').
    """
    kind = _kind_of(Path(sys.prefix))
    if not output.name.endswith(_ENDINGS):
        raise click.UsageError(
            f"--output must be a name that ends with {' or '.join(_ENDINGS)}, got {printable(str(output))}"
        )
    if python_prefix is not None and kind is not Kind.VENV:
        raise click.UsageError("--python-prefix is for a venv: a conda environment has its own Python")
    if output.exists() and not force:
        raise click.UsageError(f"{printable(str(output))} is there already: --force replaces it")
    packer = _packer(kind)
    click.echo(f"packing {sys.prefix} ...", err=True)
    options = {} if python_prefix is None else {"python_prefix": python_prefix}
    try:
        packer.pack(prefix=sys.prefix, output=str(output), format="tar.gz", force=force, **options)
    except Exception as error:
        if type(error).__module__.partition(".")[0] != kind.module:
            raise
        raise click.ClickException(printable(f"{kind.package} cannot pack {sys.prefix}: {error}")) from error
    click.echo(_settings(output.absolute(), kind, python_prefix))


def _kind_of(prefix: Path) -> Kind:
    """The kind of the environment in a directory.

    Raises:
        click.ClickException: if the directory is not an environment.
    """
    if (prefix / "conda-meta").is_dir():
        return Kind.CONDA
    if (prefix / "pyvenv.cfg").is_file():
        return Kind.VENV
    raise click.ClickException(
        f"{prefix} is not an environment of venv or conda, but a Python installation, which cannot be moved"
        " to executors. Make an environment (python -m venv DIRECTORY), install sparkopt[pack] and what your"
        " objectives need, and run this command with its Python"
    )


def _packer(kind: Kind) -> Any:
    """The module that packs such an environment.

    Raises:
        click.ClickException: if it is not installed.
    """
    try:
        return __import__(kind.module)
    except ImportError as error:
        raise click.ClickException(
            f"{sys.prefix} is an environment of {kind.name.lower()}, and packing it needs {kind.package}:"
            f" {sys.executable} -m pip install {kind.package}"
        ) from error


def _settings(archive: Path, kind: Kind, python_prefix: str | None) -> str:
    """Says what was packed, what executors need for it, and the settings that use it."""
    where = f"{archive}#{_DIRECTORY}"
    python = f"./{_DIRECTORY}/bin/python"
    base = python_prefix or sys.base_prefix
    version = ".".join(platform.python_version_tuple()[:2])
    needs = f"Executors need Python {version} in {base}, to which the archive has links.\n\n"
    return (
        f"{archive}: Python {platform.python_version()}, {archive.stat().st_size / 2**20:,.0f} MiB\n\n"
        f"{needs if kind is Kind.VENV else ''}"
        "A classic session, before it is made:\n\n"
        f'    os.environ["PYSPARK_PYTHON"] = "{python}"\n'
        f'    spark = SparkSession.builder.config("spark.archives", "{where}").getOrCreate()\n\n'
        "The same by spark-submit, with the driver on this machine:\n\n"
        f"    PYSPARK_DRIVER_PYTHON={sys.executable} PYSPARK_PYTHON={python}"
        f" spark-submit --archives {where} ...\n\n"
        "A session of Spark Connect, once it is made:\n\n"
        f'    spark.addArtifacts("{where}", archive=True)\n'
        f'    spark.conf.set("spark.sql.execution.pyspark.python", "{python}")'
    )
