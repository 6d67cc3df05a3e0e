"""A measured figure with its limit and its peer, and the means to take it."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent.parent / "build"
"""On the disk: /tmp may be memory, where a sync costs nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One result.

    Args:
        name: What was measured.
        value: In ``unit``.
        unit: Of value and limit.
        peer: What it was measured beside, with the peer's value.
        limit: Bound, or None for a figure that is only shown.
        at_least: The limit is a lower bound rather than an upper one.
    """

    name: str
    value: float
    unit: str
    peer: str
    limit: float | None = None
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value keeps the limit; true where there is none."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def as_json(self) -> dict[str, object]:
        """Return the entry of results.json."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "peer": self.peer,
            "limit": self.limit,
            "pass": self.passed,
        }

    def text(self) -> str:
        """Return one line for people."""
        bound = "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"
        verdict = "ok" if self.passed else "FAIL"
        return f"{verdict:4} {self.name:44} {self.value:12.4g} {self.unit:8} {bound:16} beside {self.peer}"


def cpu_s(call: Callable[[], object]) -> float:
    """Return the CPU time of one call in this process, seconds."""
    before = time.process_time()
    call()
    return time.process_time() - before


def cpu_of_process_s(pid: int) -> float:
    """Return the CPU time that a process has used so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def median_of_interleaved(calls: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """Return the median of each call's results, the calls taken in turn so that drift hits all alike."""
    results: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for index, call in enumerate(calls):
            results[index].append(call())
    return [statistics.median(values) for values in results]


def with_tools() -> dict[str, str]:
    """Return our environment for a child that runs a module of these tools."""
    return {**os.environ, "PYTHONPATH": str(BUILD.parent / "tools")}


def wall_s(command: Sequence[str]) -> float:
    """Return the wall time of one process, seconds."""
    # As installed: compiled once, whatever the shell that runs the benchmark says.
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=environ)
    return time.perf_counter() - before


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, MB (10^6 bytes)."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the most resident memory that a process has had, MB.

    Not ``ru_maxrss``: it survives exec, so that a child begins with the peak of the process that started it.
    """
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)
