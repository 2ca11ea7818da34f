"""``python -m sparkopt`` is the command line, and so is ``sparkopt``."""

import sys


def run() -> None:
    """Run the command line, or say what it needs."""
    try:
        from sparkopt.cli import main
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("click", "rich"):
            raise
        sys.exit(f"sparkopt's commands need {package}, which is not installed: pip install 'sparkopt[cli]'")
    main(prog_name="sparkopt")


if __name__ == "__main__":
    run()
