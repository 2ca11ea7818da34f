"""The command line: ``sparkopt``. A file a command, or a family of them; what they do is elsewhere."""

from __future__ import annotations

from typing import Final

import click

from sparkopt import __version__
from sparkopt.cli.dashboard_command import dashboard
from sparkopt.cli.demo import demo
from sparkopt.cli.evaluate import evaluate
from sparkopt.cli.exits import EXIT_CODES, Commands
from sparkopt.cli.journal_commands import journal
from sparkopt.cli.lists import status, workers
from sparkopt.cli.pack import pack
from sparkopt.cli.pools import pools
from sparkopt.cli.replay import replay
from sparkopt.cli.serve import serve
from sparkopt.cli.steering_commands import cancel, drain, pause, resume, set_parallelism, stop, submit
from sparkopt.cli.story_command import story
from sparkopt.cli.trials import trials
from sparkopt.cli.watch import watch

_HELP: Final = """Hyperparameter search with hyperopt or Optuna on Spark, without a job for every trial.

\b
Watch and steer a running search from any shell of the same user:
  SparkTrials(control=True)  opens a search, as optimize(control=True) does
  sparkopt pools             lists what is open
  sparkopt watch             shows what happens
"""


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=_HELP,
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="sparkopt")
def main() -> None:
    """Run the command that is named."""


main.add_command(demo)
main.add_command(replay)
main.add_command(journal)
main.add_command(serve)
main.add_command(pack)
main.add_command(pools)
for _command in (status, workers, trials, story, watch, dashboard):
    main.add_command(_command)
for _command in (pause, resume, set_parallelism, cancel, drain, submit, stop):
    main.add_command(_command)
main.add_command(evaluate)
