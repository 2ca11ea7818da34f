"""``python -m sparkopt`` is the command line."""

from sparkopt.cli import main

main(prog_name="sparkopt")
