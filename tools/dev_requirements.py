"""Print the requirements of the `dev` group of pyproject.toml, one a line, for pip before 25.1."""

from __future__ import annotations

import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

if __name__ == "__main__":
    print("\n".join(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["dependency-groups"]["dev"]))
