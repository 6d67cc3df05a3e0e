"""How long the demo takes once it is installed: a promise to people, so a figure and no test."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from bench.measure import BUILD, Figure, with_tools

MOST_S = 150
_HANGS_S = 600


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the wall time; not in quick rounds, which the tests of the demo stand beside."""
    if quick:
        return
    command = [sys.executable, "-m", "demo"]
    before_s = time.perf_counter()
    subprocess.run(
        command, check=True, capture_output=True, timeout=_HANGS_S, env=with_tools(), cwd=BUILD.parent
    )
    took_s = time.perf_counter() - before_s
    yield Figure("demo, once installed", took_s, "s", "two runs of 92 s in all, and a pause", MOST_S)
