"""Starts ``energy-annotator``; says how to install it when its packages are missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from energyrecorder_annotator.cli.app import run  # may fail, which is said below

        code = run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("energyrecorder"):
            raise
        sys.stderr.write(
            f"energy-annotator needs Python 3.11 or newer and the package {error.name!r}; "
            "install it with: pip install 'energyrecorder[annotator]'\n"
        )
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
