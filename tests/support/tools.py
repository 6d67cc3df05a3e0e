"""Find the real counterparts that tests talk to."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def need(program: str) -> str:
    """Return the path of ``program``; without it see `missing`."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if path is None:
        missing(program)
    return path


def missing(what: str) -> NoReturn:
    """Skip the test for want of something that ``make servers`` installs; fail it under ``CI=true``."""
    reason = f"{what} is not installed; `make servers` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
