"""Entry point of ``energy-execd``: runs a command and turns its mistakes into one line and an exit code."""

from __future__ import annotations

import sys

MINIMUM = (3, 11)


def main() -> None:
    """Run the command line and exit."""
    if sys.version_info < MINIMUM:
        sys.stderr.write("E! energy-execd needs Python 3.11 or newer\n")
        sys.exit(2)
    try:
        import click  # an old Python must get as far as the message above

        from energyrecorder.errors import EnergyError, refusal_text
        from energyrecorder_execd.cli import cli
    except ModuleNotFoundError as error:
        sys.stderr.write(f"E! {error.name!r} is not installed; run: pip install 'energyrecorder[execd]'\n")
        sys.exit(2)
    try:
        cli.main(standalone_mode=False)
    except EnergyError as error:
        sys.stderr.write("E! " + str(error).replace("\n", "\\n") + "\n")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except OSError as error:
        sys.stderr.write(f"E! {refusal_text(error)}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
