"""Prints where the shell functions are: ``. "$(python3 -m energyrecorder.integrations.shell)"``."""

from __future__ import annotations

import sys
from pathlib import Path

FUNCTIONS = Path(__file__).with_name("energy.sh")

if __name__ == "__main__":
    sys.stdout.write(f"{FUNCTIONS}\n")
