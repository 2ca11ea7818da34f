"""The command line: ``sparkopt``. A file a command, or a family of them; what they do is elsewhere."""

from __future__ import annotations

import click

from sparkopt import __version__
from sparkopt.cli.demo import demo
from sparkopt.cli.lists import status, trials, workers
from sparkopt.cli.replay import replay
from sparkopt.cli.serve import serve
from sparkopt.cli.steering import cancel, drain, pause, resume, set_parallelism, stop, submit
from sparkopt.cli.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sparkopt")
def main() -> None:
    """Hyperparameter search with hyperopt on Spark, without a Spark job for every trial."""


main.add_command(demo)
main.add_command(replay)
main.add_command(serve)
for _command in (status, workers, trials, watch, pause, resume, set_parallelism, cancel, drain, submit, stop):
    main.add_command(_command)
