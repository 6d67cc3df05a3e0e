"""What the SDK and `energy-step` cost the tests that they record, with the service up, away and hanging.

Wall times of whole processes are the best of several: whatever else runs on the machine only adds to them.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.measure import Figure
from energyrecorder.delivery import spool_of
from energyrecorder.notices import Notices
from energyrecorder.sdk_settings import load_from_variables
from energyrecorder.spool import MAX_BYTES, Spool

BIN = Path(sys.executable).parent
SPOOL_MB = MAX_BYTES / 1e6
CHILD = Path(__file__).with_name("sdk_child.py")
_LISTENING = re.compile(r"listening on (http://\S+)")
_TEST_MODULE = """
import time
import pytest

@pytest.mark.parametrize("size", range({count}))
def test_packets_arrive_in_order(size):
    time.sleep(0.01)
"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield calls, memory, the command, the spool and its replay, and the pytest plugin."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        up = stack.enter_context(_annotator(folder))
        away, hanging = stack.enter_context(_closed_port()), stack.enter_context(_hanging())
        hole = stack.enter_context(_black_hole())
        environ = _environ(folder)
        yield from _import(environ, rounds=5 if quick else 15)
        for state, url in (("up", up), ("away", away), ("hanging", hanging)):
            yield from _calls(state, {**environ, "ENERGY_URL": url}, 2_000 if quick else 10_000)
        yield from _command(environ, up, hole, rounds=7 if quick else 21)
        # A spool of its own: what the calls before left in theirs is no part of these steps.
        own = {**environ, "ENERGY_SPOOL_DIR": str(folder / "many-spool")}
        yield from _kept(own, away, up, 5_000 if quick else 100_000)
        yield from _pytest({**environ, "ENERGY_URL": up}, folder, away, quick=quick)


def _import(environ: Mapping[str, str], rounds: int) -> Iterator[Figure]:
    names = "from energyrecorder import Energy, enable_recording, set_step"
    bare_s, import_s = _interleaved([("-c", "pass"), ("-c", names)], environ, rounds)
    added_mb = statistics.median(_child("memory", 0, environ)["added_mb"] for _ in range(rounds))
    peer = f"python -c pass: {bare_s * 1e3:.0f} ms"
    yield Figure("SDK's names imported, over bare Python", (import_s - bare_s) * 1e3, "ms", peer, 60)
    yield Figure("SDK's names imported, memory", added_mb, "MB", "bare Python of the same process", 6)


def _calls(state: str, environ: Mapping[str, str], count: int) -> Iterator[Figure]:
    found = _child("calls", count, environ)
    peer = f"the same call undecorated: {found['bare_us']:.2f} µs"
    yield Figure(f"decorated call, service {state}, median", found["median_us"], "µs", peer, 40)
    yield Figure(f"decorated call, service {state}, p99", found["p99_us"], "µs", peer, 200)


def _command(environ: Mapping[str, str], up: str, hole: str, rounds: int) -> Iterator[Figure]:
    command = (str(BIN / "energy-step"), "start", "bench")
    told = {**environ, "ENERGY_URL": up}
    _wall_s(command, told)  # fills the bytecode cache
    bare, wall = [], []
    for _ in range(rounds):
        bare.append(_wall_s((sys.executable, "-c", "pass"), told))
        wall.append(_wall_s(command, told))
    peer = f"python -c pass: {min(bare) * 1e3:.0f} ms"
    yield Figure("energy-step start, service up", min(wall) * 1e3, "ms", peer, 150)
    hole_s = max(_wall_s(command, {**environ, "ENERGY_URL": hole}) for _ in range(2))
    yield Figure("energy-step start, black-hole address", hole_s, "s", peer, 2.0)


def _kept(environ: Mapping[str, str], away: str, up: str, count: int) -> Iterator[Figure]:
    """Record while the service is away, then let what was kept be sent to one that is up.

    How fast the annotator takes steps is its own figure; the limit here is the SDK's.
    """
    found = _child("many", count, {**environ, "ENERGY_URL": away})
    bare_mb = _child("memory", 0, environ)["added_mb"]
    peer = f"import alone adds {bare_mb:.1f} MB"
    yield Figure(f"{count} steps with the service away, memory", found["rss_mb"], "MB", peer, 50)
    spool_mb = found["spool_mb"] * 100_000 / count
    yield Figure(
        "100000 steps with the service away, spool", spool_mb, "MB", f"computed from {count}", SPOOL_MB
    )
    kept = _spool(away, environ)
    waiting = kept.count()
    with _taking_all() as sink:
        for peer, url, limit in (
            ("a service that answers at once", sink, 2_000),
            ("the annotator", up, None),
        ):
            # A spool belongs to one URL, so that steps reach no other service: it is copied whole, with the
            # part that a try to send it has set aside.
            shutil.copytree(kept.folder, _spool(url, environ).folder)
            told = {**environ, "ENERGY_URL": url}
            took_s = _wall_s((str(BIN / "energy-step"), "flush", "--strict"), told, timeout_s=600)
            rate = waiting / 2 / took_s
            yield Figure(f"replay of the spool to {peer}", rate, "steps/s", peer, limit, at_least=True)


def _pytest(environ: Mapping[str, str], folder: Path, away: str, *, quick: bool) -> Iterator[Figure]:
    """Run the same tests with and without us in turn, and compare each pair: other load comes and goes."""
    count = 200 if quick else 1_000
    command = _tests_of_10_ms(folder / "tests", count)
    yield from _pytest_wall(command, environ, count, rounds=3)
    if not quick:
        yield from _pytest_wall(
            (*command, "-n", "2"), environ, count, rounds=3, workers=" by 2 workers of xdist"
        )
    timed = {**environ, "PYTHONPATH": str(CHILD.parent.parent), "BENCH_HOOKS": str(folder / "hooks.json")}
    inside_us = []
    for _ in range(3):
        _wall_s((*command, "-p", "bench.hook_timer", "--energy"), timed, timeout_s=120)
        inside_us.append(json.loads((folder / "hooks.json").read_text(encoding="utf-8"))["median_us"])
    peer = f"{count} tests of 10 ms"
    yield Figure(
        "pytest --energy, inside our hooks, median", statistics.median(inside_us), "µs/test", peer, 150
    )
    kept = {**environ, "ENERGY_URL": away, "ENERGY_SPOOL_DIR": str(folder / "tests-spool")}
    _wall_s((*command, "--energy"), kept, timeout_s=120)
    folders = _spool(away, kept).folder.glob("*.jsonl")
    spool_mb = sum(file.stat().st_size for file in folders) / 1e6 * 100_000 / count
    name = "100000 tests with the service away, spool"
    yield Figure(name, spool_mb, "MB", f"computed from {count}", SPOOL_MB)


def _tests_of_10_ms(folder: Path, count: int) -> tuple[str, ...]:
    """Return the command that runs them; their names are as long as such names are."""
    folder.mkdir()
    (folder / "test_traffic_between_two_machines.py").write_text(
        _TEST_MODULE.format(count=count), encoding="utf-8"
    )
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder))
    return (sys.executable, "-m", "pytest", *options)


def _pytest_wall(
    command: Sequence[str], environ: Mapping[str, str], count: int, *, rounds: int, workers: str = ""
) -> Iterator[Figure]:
    pairs = []
    for _ in range(rounds):
        bare_s = _wall_s(command, environ, timeout_s=120)
        pairs.append((_wall_s((*command, "--energy"), environ, timeout_s=120) / bare_s - 1, bare_s))
    peer = f"pytest without --energy: {min(bare_s for _, bare_s in pairs):.2f} s"
    added = 100 * statistics.median(share for share, _ in pairs)
    yield Figure(f"pytest --energy, {count} tests of 10 ms{workers}, added", added, "%", peer, 3)


def _interleaved(commands: Sequence[Sequence[str]], environ: Mapping[str, str], rounds: int) -> list[float]:
    times: list[list[float]] = [[] for _ in commands]
    for number in range(rounds + 1):
        for index, command in enumerate(commands):
            took_s = _wall_s((sys.executable, *command), environ)
            if number:  # the first round fills the bytecode cache
                times[index].append(took_s)
    return [min(each) for each in times]


def _wall_s(command: Sequence[str], environ: Mapping[str, str], *, timeout_s: float = 60) -> float:
    before = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=timeout_s, env=environ)
    return time.perf_counter() - before


def _child(what: str, count: int, environ: Mapping[str, str]) -> dict[str, float]:
    command = [sys.executable, str(CHILD), what, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=600, env=environ)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _environ(folder: Path) -> dict[str, str]:
    """Return variables of a job without settings; modules are compiled once, as when installed."""
    foreign = ("ENERGY_", "PYTHON", "GITHUB_", "CI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "HOME": str(folder),
        "ENERGY_ENV": "bench",
        "ENERGY_SPOOL_DIR": str(folder / "spool"),
        "ENERGY_STATE_FILE": str(folder / "job.json"),
        "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
    }


def _spool(url: str, environ: Mapping[str, str]) -> Spool:
    return spool_of(load_from_variables({**environ, "ENERGY_URL": url}), Notices())


@contextlib.contextmanager
def _annotator(folder: Path) -> Iterator[str]:
    """Serve a real annotator whose one plugin says nothing; yield its URL."""
    config = folder / "annotator.toml"
    config.write_text('[embedded]\ncommands = [["cat"]]\n', encoding="utf-8")
    command = [str(BIN / "energy-annotator"), "serve", "--config", str(config), "--port", "0"]
    log = folder / "annotator.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--state", str(folder / "state")], stdin=subprocess.DEVNULL, stderr=stream
        )
        try:
            yield _listening(process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(20)


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s and process.poll() is None:
        found = _LISTENING.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
        time.sleep(0.05)
    raise TimeoutError(log.read_text(encoding="utf-8", errors="replace")[-500:])


class _Taking(http.server.BaseHTTPRequestHandler):
    """Accepts each item of a batch and does nothing with it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'{"items":[' + b",".join([b'{"status":202}'] * raw.count(b'"op":')) + b"]}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""


@contextlib.contextmanager
def _taking_all() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Taking) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def _closed_port() -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def _hanging() -> Iterator[str]:
    """Yield the URL of a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def _black_hole() -> Iterator[str]:
    """Yield the URL of a port that answers no connection: its queue is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = server.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
