"""The energy of one step from the readings in the embedded store: an hour, and a week, of many servers.

Run as ``python -m bench.energy STORE SERVERS SECONDS`` it computes one step and prints what that took.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import BUILD, Figure, cpu_s, peak_mb, with_tools
from energyrecorder_annotator.energy import step_result
from energyrecorder_annotator.expected import Expected
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.results import AROUND_NS, COUNT_AROUND_NS
from energyrecorder_annotator.samples.base import PREFERENCES, Batch, Reading
from energyrecorder_annotator.samples.embedded import EmbeddedSamples

HOUR_S, WEEK_S = 3600, 7 * 86400
SERVERS, FEW_SERVERS = 50, 6
HOUR_CPU_S = 0.3
_SECOND_NS = 1_000_000_000
_T0_NS = 1_790_000_000 * _SECOND_NS
_AROUND_S = 300
_FILL = """
INSERT INTO readings
WITH RECURSIVE n(i) AS (SELECT -:around + 1 UNION ALL SELECT i + 1 FROM n WHERE i < :seconds + :around)
SELECT series_id, :t0 + n.i * 1000000000, 300 + abs(random() % 100) / 2.0, 1, NULL, NULL, NULL, NULL, 0
FROM series CROSS JOIN n
"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the CPU time of an hour's step and, unless quick, the memory of a week's."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        path = Path(folder) / "hour.db"
        _fill(path, SERVERS, HOUR_S)
        with contextlib.closing(EmbeddedSamples(path)) as store:
            _compute(store, SERVERS, HOUR_S)
            rounds = 3 if quick else 9
            took_s = [cpu_s(lambda: _compute(store, SERVERS, HOUR_S)) for _ in range(rounds)]
        peer = f"readings every second; best of {rounds}: {min(took_s):.3f} s"
        name = f"energy: an hour of {SERVERS} servers, CPU"
        yield Figure(name, statistics.median(took_s), "s", peer, HOUR_CPU_S)
        if not quick:
            yield from _week(Path(folder) / "week.db")


def _week(path: Path) -> Iterator[Figure]:
    _fill(path, FEW_SERVERS, WEEK_S)
    one, few = (_in_a_child(path, servers) for servers in (1, FEW_SERVERS))
    cpu = f"{few['cpu_s'] / FEW_SERVERS:.2f} s of CPU per server"
    peer = f"one server: {one['grown_mb']:.0f} MB; readings every second, {cpu}"
    yield Figure(f"energy: a week of {FEW_SERVERS} servers, memory", few["grown_mb"], "MB", peer)


def _in_a_child(path: Path, servers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.energy", str(path), str(servers), str(WEEK_S)]
    answer = subprocess.run(
        command, env=with_tools(), stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def _fill(path: Path, servers: int, seconds: int) -> None:
    """Store one reading of each server a second, from some minutes before until some after the step."""
    first_ns = _T0_NS - _AROUND_S * _SECOND_NS
    with contextlib.closing(EmbeddedSamples(path)) as store:
        declared = {"window_s": 1.0, "refresh_s": 1.0, "quantum_w": 1.0, "clock": "poll"}
        store.add(
            Batch(
                readings=[
                    Reading("bench", server, "server", None, first_ns, 300.0, **declared)
                    for server in _names(servers)
                ]
            )
        )
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(_FILL, {"around": _AROUND_S, "seconds": seconds, "t0": _T0_NS})
        database.commit()


def _names(servers: int) -> tuple[str, ...]:
    return tuple(f"node-{number:02}" for number in range(servers))


def _compute(store: EmbeddedSamples, servers: int, seconds: int) -> None:
    """Do what `energyrecorder_annotator.results` does for a step that ended."""
    start_ns, end_ns = _T0_NS, _T0_NS + seconds * _SECOND_NS
    names = _names(servers)
    step = Step("x", "x", None, "bench", "load", None, start_ns=start_ns, end_ns=end_ns)
    counted = store.count("bench", names, start_ns - COUNT_AROUND_NS, end_ns + COUNT_AROUND_NS)
    readings = store.readings("bench", names, start_ns - AROUND_NS, end_ns + AROUND_NS, PREFERENCES)
    result, _ = step_result(
        step, Expected(names), readings, rivals=[], known={}, computed_ns=0, counted=counted
    )
    if result.detail["samples"] < servers * (seconds - 1):
        raise RuntimeError(f"{result.detail['samples']} samples")


def main() -> None:
    """Compute one step and print CPU time and memory."""
    path, servers, seconds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with contextlib.closing(EmbeddedSamples(path)) as store:
        before_mb = peak_mb(os.getpid())
        began_s = time.process_time()
        _compute(store, servers, seconds)
        took_s = time.process_time() - began_s
    grown_mb = peak_mb(os.getpid()) - before_mb
    print(json.dumps({"cpu_s": took_s, "grown_mb": grown_mb}))


if __name__ == "__main__":
    main()
