"""``python -m sparkopt`` is the command line, and so is ``sparkopt``."""

import sys


def run() -> None:
    """Run the command line, or say what it needs."""
    try:
        from sparkopt.cli import main
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(
            f"sparkopt's commands need {error.name}, which is not installed: pip install 'sparkopt[cli]'"
        )
    main(prog_name="sparkopt")


if __name__ == "__main__":
    run()
