"""`python -m nlpkit` and the `nlpkit` command."""

from nlpkit.cli.app import app


def main() -> None:
    """Runs the command line."""
    app(prog_name="nlpkit")


if __name__ == "__main__":
    main()
