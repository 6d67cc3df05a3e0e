"""CPU and memory of the collector on Redfish, beside Telegraf's own inputs and a bare aiohttp loop.

All clients run at the same time against BMCs of their own in one simulator process, and their CPU time is
read from /proc over the same windows: what slows one down slows all.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import Figure, cpu_of_process_s, rss_mb
from bench.simulated import PASSWORD, USER, Simulated, simulated

INTERVAL_S = 2
BIN = Path(sys.executable).parent
BARE = Path(__file__).resolve().parent / "bare_aiohttp.py"
POWER = "/redfish/v1/Chassis/System.Embedded.1/Power"
JITTER_LIMIT_MS = 50.0
MEMORY_MB, MEMORY_BMCS = 250, 500
"""What so many BMCs may take at most."""


@dataclass
class Client:
    """One process that polls BMCs of its own.

    Args:
        name: Also the beginning of its BMCs' ids.
        process: The process.
        cpu_s: CPU time per window.
        polls: Readings per window.
    """

    name: str
    process: subprocess.Popen[bytes]
    cpu_s: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)

    @property
    def ms_per_poll(self) -> float:
        """Median over the windows of CPU time per reading, ms."""
        each = [1e3 * cpu / polls for cpu, polls in zip(self.cpu_s, self.polls, strict=True)]
        return statistics.median(each)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the ratios, then the memory of a large fleet, then how well others keep their time."""
    count, windows, window_s = (30, 3, 6) if quick else (100, 5, 20)
    yield from _ratios(count, windows, window_s, bounded=not quick)
    yield from _large(100 if quick else 500, 30 if quick else 60, bounded=not quick)
    if not quick:
        yield from _large(2000, 60, bounded=True)
        yield from _sweep()
    yield from _neighbours(15 if quick else 40, bounded=not quick)


def _ratios(count: int, windows: int, window_s: int, *, bounded: bool) -> Iterator[Figure]:
    """Yield the ratios of CPU; without bounds where the windows are too short to decide anything."""
    names = ("own", "inputs.redfish", "inputs.http", "aiohttp")
    ids = {name: [f"{name}-{number}" for number in range(count)] for name in names}
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        sim = stack.enter_context(simulated(folder, [one for name in names for one in ids[name]]))
        clients = [_own(folder, sim, ids["own"], f"{INTERVAL_S}s")]
        stack.callback(_end, clients)
        clients.append(_telegraf(folder, "inputs.redfish", _redfish_inputs(sim, ids["inputs.redfish"])))
        clients.append(_telegraf(folder, "inputs.http", _http_input(sim, ids["inputs.http"])))
        clients.append(_bare(sim, ids["aiohttp"]))
        time.sleep(4 * INTERVAL_S)
        first = sim.stats()
        for _ in range(windows):
            _window(clients, sim, ids, window_s)
        counted = {name: _requests(sim.stats(), first, ids[name]) for name in names}
        per_poll = _per_poll(counted)
    own, redfish, http, bare = clients
    # Of each reading all requests are counted: those of inputs.redfish are three GETs per gather.
    peer = f"inputs.redfish: {redfish.ms_per_poll:.2f} ms"
    yield Figure("redfish, CPU per reading", own.ms_per_poll, "ms", peer)
    ratio, limit = own.ms_per_poll / redfish.ms_per_poll, 0.75 if bounded else None
    yield Figure("redfish, CPU per reading, ratio to Telegraf", ratio, "ratio", peer, limit)
    peer = f"bare aiohttp GET loop: {bare.ms_per_poll:.2f} ms"
    ratio = own.ms_per_poll / bare.ms_per_poll
    yield Figure("redfish, CPU per reading, ratio to aiohttp", ratio, "ratio", peer, 2.0 if bounded else None)
    peer = f"inputs.http: {http.ms_per_poll:.2f} ms, one number of it, by Basic"
    yield Figure("redfish, CPU per GET, ratio to Telegraf", own.ms_per_poll / http.ms_per_poll, "ratio", peer)
    peer = f"inputs.redfish: {per_poll['inputs.redfish']:.2f}"
    yield Figure("redfish, requests per reading", per_poll["own"], "", peer)
    log_ins = counted["inputs.redfish"]["basic_requests"] / max(1, sum(redfish.polls))
    new = counted["own"]["log_ins"] / sum(own.polls)
    yield Figure("redfish, log-ins per reading", new, "", f"inputs.redfish: {log_ins:.2f}, by Basic")


def _window(
    clients: Sequence[Client], sim: Simulated, ids: Mapping[str, Sequence[str]], window_s: int
) -> None:
    before_s = [cpu_of_process_s(client.process.pid) for client in clients]
    before, began_s = sim.stats(), time.monotonic()
    time.sleep(window_s)
    after_s = [cpu_of_process_s(client.process.pid) for client in clients]
    after = sim.stats()
    for client, earlier_s, later_s in zip(clients, before_s, after_s, strict=True):
        client.cpu_s.append(later_s - earlier_s)
        # The gathers of a client that does not keep up are counted by its requests.
        requests = _requests(after, before, ids[client.name])["requests"]
        share = 3.0 if client.name == "inputs.redfish" else 1.0
        wanted = (time.monotonic() - began_s) / INTERVAL_S * len(ids[client.name])
        client.polls.append(min(wanted, requests / share) or 1.0)


def _requests(
    after: Mapping[str, Mapping[str, int]], before: Mapping[str, Mapping[str, int]], ids: Sequence[str]
) -> dict[str, int]:
    keys = ("requests", "log_ins", "basic_requests")
    return {key: sum(after[one][key] - before[one][key] for one in ids) for key in keys}


def _per_poll(counted: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    # The bare loop makes one GET per poll at the same interval: it says how many polls there were.
    polls = max(1, counted["aiohttp"]["requests"])
    return {name: counts["requests"] / polls for name, counts in counted.items()}


def _own(folder: Path, sim: Simulated, ids: Sequence[str], interval: str) -> Client:
    fleet = sim.fleet(folder, ids, interval)
    command = [str(BIN / "energy-execd"), "run", "--fleet", str(fleet), "--state", str(folder / "state")]
    return Client("own", _start(command, folder / "own.out"))


def _start(command: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "BMC_PASSWORD": PASSWORD, "PYTHONPATH": str(BARE.parent.parent)}
    with out.open("wb") as stdout, out.with_suffix(".err").open("wb") as stderr:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, env=environ, bufsize=0
        )


def _telegraf(folder: Path, name: str, inputs: str) -> Client:
    file = folder / f"{name}.conf"
    agent = (
        f'[agent]\ninterval = "{INTERVAL_S}s"\nflush_interval = "{INTERVAL_S}s"\nround_interval = false\n'
        "omit_hostname = true\nmetric_buffer_limit = 100000\n"
        f'[[outputs.file]]\nfiles = ["{folder / name}.lp"]\n'
    )
    file.write_text(agent + inputs, encoding="utf-8")
    return Client(name, _start(["telegraf", "--config", str(file)], folder / f"{name}.out"))


def _redfish_inputs(sim: Simulated, ids: Sequence[str]) -> str:
    return "".join(
        f'[[inputs.redfish]]\naddress = "{sim.url(one)}"\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
        f'computer_system_id = "System.Embedded.1"\ninclude_metrics = ["power"]\n'
        f'tls_ca = "{sim.ca_file}"\n'
        for one in ids
    )


def _http_input(sim: Simulated, ids: Sequence[str]) -> str:
    urls = ", ".join(f'"{sim.url(one)}{POWER}"' for one in ids)
    return (
        f'[[inputs.http]]\nurls = [{urls}]\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
        f'tls_ca = "{sim.ca_file}"\ndata_format = "json_v2"\n[[inputs.http.json_v2]]\n'
        '[[inputs.http.json_v2.field]]\npath = "PowerControl.0.PowerConsumedWatts"\n'
    )


def _bare(sim: Simulated, ids: Sequence[str]) -> Client:
    command = [sys.executable, str(BARE), sim.ca_file, str(INTERVAL_S), POWER, *(sim.url(one) for one in ids)]
    return Client("aiohttp", _start(command, sim.folder / "bare.out"))


def _end(clients: Sequence[Client]) -> None:
    for client in clients:
        client.process.terminate()
    for client in clients:
        try:
            client.process.wait(10)
        except subprocess.TimeoutExpired:
            client.process.kill()
            client.process.wait()
        if client.process.stdin is not None:
            client.process.stdin.close()


def _large(count: int, seconds: int, *, bounded: bool) -> Iterator[Figure]:
    """Yield memory and late ticks; ticks without a bound where other jobs may take the machine."""
    ids = [f"own-{number}" for number in range(count)]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        with simulated(folder, ids) as sim:
            client = _own(folder, sim, ids, "10s")
            try:
                time.sleep(20)
                before_s = cpu_of_process_s(client.process.pid)
                time.sleep(seconds)
                spent_s = cpu_of_process_s(client.process.pid) - before_s
                memory_mb = rss_mb(client.process.pid)
            finally:
                _end([client])
            late = sum(point["late_ticks"] for point in bmc_points(folder / "own.out"))
    load = 100 * spent_s / seconds
    peer = f"{load:.1f} % of a core"
    limit_mb = MEMORY_MB if count <= MEMORY_BMCS else None
    yield Figure(f"redfish, {count} BMCs every 10 s, memory", memory_mb, "MB", peer, limit_mb)
    yield Figure(f"redfish, {count} BMCs every 10 s, late ticks", late, "ticks", peer, 0 if bounded else None)


def _sweep() -> Iterator[Figure]:
    """Yield the late ticks of a fleet in which every BMC takes two seconds for each answer."""
    ids = [f"own-{number}" for number in range(200)]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        with simulated(folder, ids, latency_s=2.0) as sim:
            client = _own(folder, sim, ids, "10s")
            try:
                time.sleep(90)
            finally:
                _end([client])
        points = _settled(bmc_points(folder / "own.out"))
        late = sum(point["late_ticks"] for point in points)
    peer = f"{len(points)} polls of {len(ids)} BMCs that answer in 2 s"
    yield Figure("redfish, slow BMCs every 10 s, late ticks", late, "ticks", peer, 0)


def _settled(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the polls of one request but the first of each server.

    The polls before look around; the ticks that this took are told by the first one after it.
    """
    met: set[str] = set()
    settled = []
    for point in points:
        if point["requests"] <= 1:
            if point["server"] in met:
                settled.append(point)
            met.add(point["server"])
    return settled


def _neighbours(seconds: int, *, bounded: bool) -> Iterator[Figure]:
    """Yield by how much one slow and one hung BMC move the time stamps of the others."""
    ids = [f"own-{number}" for number in range(20)]
    bad = {"slow": "{ kind = 'slow', delay_s = 8 }", "hung": "{ kind = 'tls_stall' }"}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        with simulated(folder, [*ids, *bad], faults=bad) as sim:
            client = _own(folder, sim, [*ids, *bad], "1s")
            try:
                time.sleep(seconds)
            finally:
                _end([client])
        moved_ms = _moved_ms([point for point in bmc_points(folder / "own.out") if point["server"] in ids])
    peer = "a BMC that takes 8 s and one that hangs in the handshake"
    limit = JITTER_LIMIT_MS if bounded else None
    yield Figure("redfish, time stamps moved by others, p99", moved_ms, "ms", peer, limit)


def _moved_ms(points: Sequence[Mapping[str, Any]]) -> float:
    """Return the 99th percentile of how far a poll lay from its server's place within the second, ms."""
    places: dict[str, list[float]] = {}
    for point in points:
        if point["requests"] == 1:
            places.setdefault(point["server"], []).append(point["time"] % 10**9 / 1e6)
    moved = []
    for each in places.values():
        # Places shortly before and after a full second are neighbours.
        middle = statistics.median((one - each[0] + 500) % 1000 for one in each)
        moved += [abs((one - each[0] + 500) % 1000 - middle) for one in each]
    return statistics.quantiles(moved, n=100)[98]


def bmc_points(path: Path) -> list[dict[str, Any]]:
    """Return the ``server_bmc`` points of a file of line protocol: server, time and integer fields."""
    points = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("server_bmc,"):
            continue
        head, fields, at = line.rsplit(" ", 2)
        tags = dict(pair.split("=", 1) for pair in head.split(",")[1:])
        numbers = dict(pair.split("=", 1) for pair in fields.split(",") if pair.endswith("i"))
        point = {name: int(value[:-1]) for name, value in numbers.items()}
        points.append({"server": tags["server"], "time": int(at), **point})
    return points
