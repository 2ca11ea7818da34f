"""Option of the commands that launch workers."""

from __future__ import annotations

from typing import Final

import click

elastic_option: Final = click.option(
    "--elastic/--no-elastic",
    default=None,
    help="Whether workers come and go with Spark's executors, each in a Spark job of its own, rather than in"
    " barrier jobs.  [default: they do under dynamic allocation and on an autoscaling Databricks cluster]",
)
