"""Durable steps per second of the annotator from 32 clients, beside the disk and the original's pattern."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import BUILD, Figure, cpu_of_process_s, median_of_interleaved, rss_mb, with_tools
from bench.original import original_pattern

CLIENTS = 32
SETTLED_S = 5.0
STEPS_PER_S = 1000.0
P99_MS = 60.0
IDLE_MB = 100.0
GROWTH_MB = 30.0
ROUND_S = 2.0
ROUNDS = 3


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield rate, delay and memory of starting and stopping steps."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        sync_ms = fsync_ms(Path(folder))
        with annotator(Path(folder)) as (process, port):
            time.sleep(SETTLED_S)
            idle_mb = rss_mb(process.pid)
            # What the first steps and the first results load is not growth.
            _load(port, 1.0)
            time.sleep(SETTLED_S)
            before_mb = rss_mb(process.pid)
            before_s = cpu_of_process_s(process.pid)
            found = _load(port, 4.0 if quick else 60.0)
            cpu_s = cpu_of_process_s(process.pid) - before_s
            grown_mb = rss_mb(process.pid) - before_mb
            with original_pattern(Path(folder)) as peer_port:
                ratio = None if peer_port is None else _beside(port, peer_port)
    yield from _figures(found, cpu_s, sync_ms)
    yield Figure("annotator: idle", idle_mb, "MB", "after the start, no plugin", IDLE_MB)
    yield Figure(
        "annotator: memory grown meanwhile", grown_mb, "MB", f"{found['steps']:.0f} steps", GROWTH_MB
    )
    if ratio is not None:
        yield ratio


def _figures(found: dict[str, float], cpu_s: float, sync_ms: float) -> Iterator[Figure]:
    peer = f"one fsync of this disk: {sync_ms:.2f} ms; client's CPU {found['client_cpu_s']:.1f} s"
    rate = found["steps_per_s"]
    yield Figure("annotator: durable start + stop", rate, "steps/s", peer, STEPS_PER_S, at_least=True)
    median = f"median {found['p50_ms']:.1f} ms"
    yield Figure("annotator: p99 of a call", found["p99_ms"], "ms", median, P99_MS)
    yield Figure("annotator: CPU of a start + stop", cpu_s / found["steps"] * 1e3, "ms", "all its threads")


def _beside(port: int, peer_port: int) -> Figure:
    """Return how many times the steps of the original's pattern it takes, the same clients in turn."""
    ours, theirs = median_of_interleaved(
        [lambda: _load(port, ROUND_S)["steps_per_s"], lambda: _load(peer_port, ROUND_S)["steps_per_s"]],
        ROUNDS,
    )
    peer = f"{theirs:.0f} steps/s of one InfluxDB read and write per call; ours in turn with it: {ours:.0f}"
    return Figure("annotator: times the original's pattern", ours / theirs, "x", peer)


def fsync_ms(folder: Path) -> float:
    """Return the median time of one sync of 4 KiB, milliseconds."""
    took = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


@contextlib.contextmanager
def annotator(folder: Path, settings: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the service with its state below ``folder`` and further settings; yield its process and port."""
    file = folder / "annotator.toml"
    file.write_text(f"[listen]\nrequests_per_s = 0\n{settings}", encoding="utf-8")
    command = ["serve", "--config", str(file), "--state", str(folder / "state"), "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "energyrecorder_annotator", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=with_tools(),
    )
    try:
        if process.stderr is None:
            raise AssertionError("started with a pipe")
        line = process.stderr.readline()
        yield process, int(line.rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr is not None:
            process.stderr.close()


def _load(port: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.load", str(port), str(CLIENTS), str(seconds)]
    answer = subprocess.run(
        command, env=with_tools(), stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60
    )
    found: dict[str, float] = json.loads(answer.stdout)
    return found
