"""The `energy-step` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `energy-step` and exit with its code."""
    try:
        import click  # noqa: F401  # told apart from a defect of ours
    except ModuleNotFoundError:
        sys.stderr.write("energy-step needs click: pip install energyrecorder\n")
        sys.exit(2)
    from energyrecorder.cli.app import run_command  # needs click

    sys.exit(run_command(sys.argv[1:]))
