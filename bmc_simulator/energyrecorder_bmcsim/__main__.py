"""``energy-bmcsim`` and ``python -m energyrecorder_bmcsim``."""

from __future__ import annotations

import sys

_OLDEST = (3, 11)


def main() -> None:
    """Run the command line; without the ``simulator`` extra, say how to install it (exit 2)."""
    if sys.version_info < _OLDEST:
        sys.stderr.write("energy-bmcsim: needs Python 3.11 or newer\n")
        sys.exit(2)
    try:
        from energyrecorder.errors import refusal_text  # an old Python must get as far as the message above
        from energyrecorder_bmcsim.cli import cli  # its libraries are an extra
    except ModuleNotFoundError as error:
        sys.stderr.write(f"energy-bmcsim: {error.name} is missing: pip install 'energyrecorder[simulator]'\n")
        sys.exit(2)
    try:
        cli()
    except OSError as error:
        sys.stderr.write(f"energy-bmcsim: {refusal_text(error)}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
