"""Runs inside the process that `bench.sdk` measures: what the SDK costs the code that it records."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def nothing() -> None:
    """Do nothing; it is what is recorded."""


def percentiles(call: Callable[[], object], count: int) -> tuple[float, float]:
    """Return median and 99th percentile of one call on this thread, µs.

    Calls are spaced as those of tests are: a burst would measure the queue and not the call.
    """
    times = []
    for _ in range(count):
        before = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - before)
        time.sleep(0.0005)
    times.sort()
    return times[count // 2] / 1e3, times[count * 99 // 100] / 1e3


def calls(count: int) -> dict[str, float]:
    """Return what a bare and a decorated call cost."""
    from energyrecorder import enable_recording, set_step

    recorded = set_step("step")(nothing)
    with enable_recording("bench"):
        percentiles(recorded, 20)  # starts the thread
        bare_us, _ = percentiles(nothing, count)
        median_us, p99_us = percentiles(recorded, count)
    return {"bare_us": bare_us, "median_us": median_us, "p99_us": p99_us}


def many(count: int) -> dict[str, float]:
    """Record many steps as fast as the spool takes them; return memory, and how large the spool is."""
    from energyrecorder import Energy, enable_recording, set_step

    recorded = set_step("a step whose name is as long as such names often are, and no more")(nothing)
    with enable_recording("bench"):
        for number in range(count):
            recorded()
            if number % 1000 == 0:
                Energy.flush(30.0)
    Energy.flush(30.0)
    spool = Path(os.environ["ENERGY_SPOOL_DIR"])
    return {
        "rss_mb": _peak_mb(),
        "spool_mb": sum(file.stat().st_size for file in spool.rglob("*") if file.is_file()) / 1e6,
    }


def memory() -> dict[str, float]:
    """Return how much importing the SDK adds to this process."""
    before_mb = _resident_mb()
    from energyrecorder import Energy, enable_recording, set_step  # noqa: F401  # is what is measured

    return {"added_mb": _resident_mb() - before_mb}


def _peak_mb() -> float:
    # As `bench.measure.peak_mb`, whose imports would be measured too.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    what, number = sys.argv[1], int(sys.argv[2])
    result = {"calls": lambda: calls(number), "many": lambda: many(number), "memory": memory}[what]()
    print(json.dumps(result))
