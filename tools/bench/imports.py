"""What importing the SDK and starting the command cost, beside a bare Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Figure, median_of_interleaved, wall_s

BIN = Path(sys.executable).parent


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the time of `import energyrecorder` over bare Python, and of `energy-step --version`."""
    commands = (
        [sys.executable, "-c", "pass"],
        [sys.executable, "-c", "from energyrecorder import Energy, enable_recording, set_step"],
        [str(BIN / "energy-step"), "--version"],
    )
    for command in commands:  # fills the bytecode cache
        wall_s(command)
    calls = [lambda command=command: wall_s(command) for command in commands]
    bare_s, import_s, version_s = median_of_interleaved(calls, 7 if quick else 21)
    peer = f"python -c pass: {bare_s * 1e3:.0f} ms"
    yield Figure("import energyrecorder, over bare Python", (import_s - bare_s) * 1e3, "ms", peer, 60)
    yield Figure("energy-step --version", version_s * 1e3, "ms", peer, 150)
