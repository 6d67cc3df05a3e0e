"""Resident memory of annotator and collector while they serve the demo's six servers, polled every second."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Figure, rss_mb
from demo.lab import Lab

SPEC = Path(__file__).resolve().parent.parent / "demo" / "sim.toml"


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the memory of both processes after some seconds of polling."""
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), SPEC, interval="1s") as lab:
        time.sleep(8 if quick else 30)
        pid = lab.annotator_pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        peer = f"this bare Python with its tools: {rss_mb(_own_pid()):.0f} MB"
        yield Figure("annotator with six servers", rss_mb(pid), "MB", peer, 120)
        yield Figure(
            "collector with six servers", sum(rss_mb(int(child)) for child in children), "MB", peer, 100
        )


def _own_pid() -> int:
    return int(Path("/proc/self").resolve().name)
