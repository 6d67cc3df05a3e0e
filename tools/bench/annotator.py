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

from bench.measure import BUILD, Figure

CLIENTS = 32
SETTLED_S = 5.0
STEPS_PER_S = 1000.0
P99_MS = 60.0
_TOOLS = Path(__file__).resolve().parent.parent


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield rate, delay and memory of starting and stopping steps."""
    # Below build/, on the disk: /tmp may be memory, where a sync costs nothing.
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        sync_ms = fsync_ms(Path(folder))
        with annotator(Path(folder)) as (process, port):
            # What the first steps and the first results load is not growth.
            _load(port, 1.0)
            time.sleep(SETTLED_S)
            before_mb = _rss_mb(process.pid)
            before_s = _cpu_s(process.pid)
            found = _load(port, 4.0 if quick else 60.0)
            cpu_s = _cpu_s(process.pid) - before_s
            grown_mb = _rss_mb(process.pid) - before_mb
    peer = f"one fsync of this disk: {sync_ms:.2f} ms; client's CPU {found['client_cpu_s']:.1f} s"
    yield Figure(
        "annotator: durable start + stop",
        found["steps_per_s"],
        "steps/s",
        peer,
        STEPS_PER_S,
        at_least=True,
    )
    yield Figure(
        "annotator: p99 of a call",
        found["p99_ms"],
        "ms",
        f"median {found['p50_ms']:.1f} ms",
        P99_MS,
    )
    yield Figure("annotator: CPU of a start + stop", cpu_s / found["steps"] * 1e3, "ms", "all its threads")
    yield Figure("annotator: memory grown meanwhile", grown_mb, "MB", f"{found['steps']:.0f} steps", 30)


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
def annotator(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the service with its state below ``folder``; yield its process and port."""
    settings = folder / "annotator.toml"
    settings.write_text("[listen]\nrequests_per_s = 0\n", encoding="utf-8")
    command = ["serve", "--config", str(settings), "--state", str(folder / "state"), "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "energyrecorder_annotator", *command], stderr=subprocess.PIPE, text=True
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
    environ = {**os.environ, "PYTHONPATH": str(_TOOLS)}
    answer = subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60
    )
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
