"""What an IPMI reading costs beside ipmitool, FreeIPMI and Telegraf, and how soon BMCs give a first reading.

Paced at one reading of each BMC every 10 s, at the moments of the collector's schedule.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.ipmi_lab import Collector, order_fault, simulated, thread_cpu_s, tree_cpu_s
from bench.measure import Figure, rss_mb
from bench.simulated import PASSWORD, USER
from energyrecorder.clock import wall_ns
from energyrecorder.errors import BmcError
from energyrecorder.secret import Secret
from energyrecorder_execd import schedule
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.ipmi import IpmiEndpoint, IpmiReader

PACED = 128
MANY = 500
PERIOD_S = 10.0
_REBOOT_S = 3.0
_TIMEOUT_S = 8.0
_BIG_REPOSITORY = "dcmi = false\ntemperature_sensors = 299\nsdr_latency_s = 0.02\n"
_FIRST_READING_S = 10.0
_TELEGRAF = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  omit_hostname = true
[[inputs.ipmi_sensor]]
  path = "{wrapper}"
  servers = ["{user}:{password}@lanplus(127.0.0.1)"]
  sensors = ["dcmi_power_reading"]
  timeout = "5s"
[[outputs.file]]
  files = ["{out}"]
"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield ratios of CPU time, the time to log in to many BMCs, their memory, and the time to recover."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _cost(folder, quick=quick)
        yield from _many(folder)
        yield from _recovery(folder, rounds=2 if quick else 5)
        yield from _repository(folder)


def _cost(folder: Path, *, quick: bool) -> Iterator[Figure]:
    seconds = 10 if quick else 60
    with simulated(folder, PACED) as sim:
        bmcs = list(sim["bmcs"])
        ours_ms, readings = asyncio.run(_paced(bmcs, seconds))
        paced = f"{PACED} BMCs every {PERIOD_S:g} s, {readings} readings"
        yield Figure("IPMI reading, CPU of the reader", ours_ms, "ms", paced)
        with Collector(folder / "paced", bmcs) as collector:
            collector.wait_for(PACED, within_s=60)
            before_s, before = thread_cpu_s(collector.pid), collector.readings
            time.sleep(seconds)
            whole_ms = (thread_cpu_s(collector.pid) - before_s) / (collector.readings - before) * 1000
        yield Figure("IPMI reading, CPU of the whole collector", whole_ms, "ms", paced)
        port = str(bmcs[0]["port"])
        for name, command, environ, limit in _peers(folder, port):
            if shutil.which(command[0]) is None:
                continue
            rounds = 8 if quick else 30
            peer_ms = statistics.median(_spawn_cpu_s(command, environ) for _ in range(rounds)) * 1000
            told = f"{peer_ms:.1f} ms for one process per reading"
            yield Figure(f"IPMI reader alone, part of {name}", ours_ms / peer_ms, "ratio", told)
            yield Figure(f"IPMI reading, part of {name}", whole_ms / peer_ms, "ratio", told, limit)
        yield from _telegraf(folder, port, whole_ms, seconds=8 if quick else 20)


async def _paced(bmcs: Sequence[Mapping[str, Any]], seconds: float) -> tuple[float, int]:
    """Return the CPU time of one poll, ms, and how many polls that is the mean of."""
    endpoint = IpmiEndpoint()
    loop = asyncio.get_running_loop()
    readers = [_reader(bmc, endpoint) for bmc in bmcs]
    await asyncio.gather(*(reader.poll() for reader in readers))
    begun_s, polls = loop.time(), 0

    async def keep_polling(reader: IpmiReader, due_s: float) -> None:
        nonlocal polls
        while due_s < begun_s + seconds:
            await asyncio.sleep(due_s - loop.time())
            await reader.poll()
            polls += 1
            due_s += PERIOD_S

    before_s = time.process_time()
    places = (begun_s + schedule.offset_ns(bmc["id"], PERIOD_S) / 1e9 for bmc in bmcs)
    await asyncio.gather(
        *(keep_polling(reader, due_s) for reader, due_s in zip(readers, places, strict=True))
    )
    cpu_ms = (time.process_time() - before_s) / polls * 1000
    await asyncio.gather(*(reader.close() for reader in readers))
    endpoint.close()
    return cpu_ms, polls


def _reader(bmc: Mapping[str, Any], endpoint: IpmiEndpoint) -> IpmiReader:
    target = Target(
        bmc["id"], "127.0.0.1", bmc["port"], "https", USER, Secret(PASSWORD), timeout_s=_TIMEOUT_S
    )
    return IpmiReader(target, Context(Memory(), wall_ns), endpoint)


def _peers(folder: Path, port: str) -> Iterator[tuple[str, Sequence[str], Mapping[str, str], float | None]]:
    """Return name, command, environment and limit of each command that reads the power once."""
    ipmitool = ["ipmitool", "-I", "lanplus", "-H", "127.0.0.1", "-p", port, "-U", USER, "-P", PASSWORD]
    ipmitool += ["-L", "USER", "dcmi", "power", "reading"]
    yield "ipmitool with its 4.7 MB list of makers", ipmitool, {}, 1 / 40
    # ipmitool 1.8.19 reads this list in place of the system's.
    short = folder / "home" / ".local" / "usr" / "share" / "misc" / "enterprise-numbers.txt"
    short.parent.mkdir(parents=True)
    short.write_text("0\n  Reserved\n    Nobody\n      nobody\n", encoding="ascii")
    yield "ipmitool with a list of one maker", ipmitool, {"HOME": str(folder / "home")}, None
    freeipmi = ["ipmi-dcmi", "-h", f"127.0.0.1:{port}", "-D", "LAN_2_0", "-u", USER, "-p", PASSWORD]
    freeipmi += ["-l", "user", "--get-system-power-statistics"]
    yield "FreeIPMI's ipmi-dcmi", freeipmi, {}, 1 / 5


def _spawn_cpu_s(command: Sequence[str], environ: Mapping[str, str]) -> float:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, **environ},
    )  # fmt: skip
    told = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdout:
        process.stdout.close()
    if process.returncode or b"216" not in told:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {told[-500:]!r}")
    return usage.ru_utime + usage.ru_stime


def _telegraf(folder: Path, port: str, whole_ms: float, *, seconds: float) -> Iterator[Figure]:
    """Yield the ratio to Telegraf's own input, which starts ipmitool for each reading and knows no port."""
    ipmitool = shutil.which("ipmitool")
    if shutil.which("telegraf") is None or ipmitool is None:
        return
    wrapper, out, settings = folder / "ipmitool", folder / "telegraf.out", folder / "telegraf.conf"
    wrapper.write_text(f'#!/bin/sh\nexec {ipmitool} -p {port} "$@"\n', encoding="ascii")
    wrapper.chmod(0o755)
    settings.write_text(
        _TELEGRAF.format(wrapper=wrapper, user=USER, password=PASSWORD, out=out), encoding="utf-8"
    )
    command = ["telegraf", "--config", str(settings), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while not _readings(out) and time.monotonic() < deadline:
                time.sleep(0.1)
            before_s, before = tree_cpu_s(process.pid), _readings(out)
            time.sleep(seconds)
            peer_ms = (tree_cpu_s(process.pid) - before_s) / max(1, _readings(out) - before) * 1000
            count = _readings(out) - before
        finally:
            process.terminate()
            process.wait(20)
    if not count:
        raise RuntimeError("Telegraf's inputs.ipmi_sensor gave no reading")
    yield Figure(
        "IPMI reading, whole collector, part of Telegraf's ipmi_sensor",
        whole_ms / peer_ms,
        "ratio",
        f"{peer_ms:.1f} ms, {count} readings of one BMC every second",
    )


def _readings(out: Path) -> int:
    return out.read_bytes().count(b"name=instantaneous_power_reading") if out.exists() else 0


def _many(folder: Path) -> Iterator[Figure]:
    with simulated(folder, MANY) as sim:
        bmcs = list(sim["bmcs"])
        with Collector(folder / "one", bmcs[:1]) as collector:
            collector.poll_at_once()
            collector.wait_for(1, within_s=20)
            least_mb = rss_mb(collector.pid)
        with Collector(folder / "many", bmcs) as collector:
            collector.poll_at_once()
            took_s = collector.wait_for(MANY, within_s=60)
            most_mb = rss_mb(collector.pid)
    peer = "from the start of the process to the last first reading"
    yield Figure(f"{MANY} IPMI BMCs logged in", took_s, "s", peer, 5)
    yield Figure(
        f"{MANY} IPMI BMCs, memory more", most_mb - least_mb, "MB", f"one BMC: {least_mb:.0f} MB", 60
    )


def _recovery(folder: Path, rounds: int) -> Iterator[Figure]:
    with simulated(folder, 1) as sim:
        took_s = asyncio.run(_after_restarts(sim, rounds))
    yield Figure(
        "IPMI reading after the restart of a BMC",
        max(took_s),
        "s",
        f"worst of {rounds} restarts of {_REBOOT_S:g} s; pyghmi by itself: 20.8 s (measured before)",
        5,
    )


async def _after_restarts(sim: Mapping[str, Any], rounds: int) -> list[float]:
    endpoint = IpmiEndpoint()
    bmc = sim["bmcs"][0]
    reader = _reader(bmc, endpoint)
    took_s = []
    try:
        for _ in range(rounds):
            await reader.poll()
            fault = {"server": bmc["id"], "kind": "bmc_reboot", "for_s": _REBOOT_S}
            await asyncio.to_thread(order_fault, sim, fault)
            back_s = time.perf_counter() + _REBOOT_S
            while not await _reads(reader):
                pass
            took_s.append(time.perf_counter() - back_s)
    finally:
        await reader.close()
        endpoint.close()
    return took_s


def _repository(folder: Path) -> Iterator[Figure]:
    with simulated(folder, 1, _BIG_REPOSITORY) as sim:
        took_s, requests = asyncio.run(_first_reading(sim["bmcs"][0]))
    peer = "300 sensor records of 20 ms each, read one after the other, and the log-in"
    yield Figure("IPMI reading, first of a big slow repository", took_s, "s", peer, _FIRST_READING_S)
    yield Figure("IPMI reading, requests of a later one", requests, "requests", "the same BMC", 1)


async def _first_reading(bmc: Mapping[str, Any]) -> tuple[float, int]:
    """Return how long the first reading took, and the requests of the second."""
    endpoint = IpmiEndpoint()
    reader = _reader(bmc, endpoint)
    begun_s = time.perf_counter()
    try:
        while not await _reads(reader):
            pass
        took_s = time.perf_counter() - begun_s
        return took_s, (await reader.poll()).requests
    finally:
        await reader.close()
        endpoint.close()


async def _reads(reader: IpmiReader) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return not (await reader.poll()).error
    except (BmcError, TimeoutError):
        return False
