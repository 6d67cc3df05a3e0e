"""CPU of the collector as Telegraf's plugin, beside the same collector alone at the same time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Figure, cpu_of_process_s
from bench.redfish import Client
from bench.simulated import PASSWORD, Simulated, simulated

INTERVAL_S = 2
LIMIT = 1.25
EXECD = Path(sys.executable).parent / "energy-execd"
DROP_IN = Path(__file__).resolve().parent.parent.parent / "telegraf.conf.d" / "energy-fleet.conf"
AGENT = """
[agent]
  interval = "10s"
  flush_interval = "10s"
  skip_processors_after_aggregators = true
[[outputs.file]]
  files = ["{file}"]
"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the ratio of the collector's CPU under Telegraf to that of one alone, and Telegraf's own."""
    count, windows, window_s = (20, 3, 5) if quick else (60, 5, 20)
    ids = {name: [f"{name}-{number}" for number in range(count)] for name in ("alone", "plugin")}
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        sim = stack.enter_context(simulated(Path(text), [one for name in ids for one in ids[name]]))
        alone = _started(stack, sim, Path(text), "alone", ids["alone"])
        telegraf = _started(stack, sim, Path(text), "plugin", ids["plugin"])
        time.sleep(6 * INTERVAL_S)
        plugin = _child(telegraf.process.pid)
        for _ in range(windows):
            _window(sim, ids, {alone.process.pid: alone, plugin: telegraf}, window_s)
        host_s = cpu_of_process_s(telegraf.process.pid)
    ratio = telegraf.ms_per_poll / alone.ms_per_poll
    peer = f"alone: {alone.ms_per_poll:.2f} ms"
    yield Figure("collector under Telegraf, CPU per reading, ratio to alone", ratio, "ratio", peer, LIMIT)
    peer = f"{sum(telegraf.polls):.0f} readings and its start"
    yield Figure("Telegraf as its host, CPU", host_s, "s", peer)


def _started(
    stack: contextlib.ExitStack, sim: Simulated, parent: Path, name: str, ids: Sequence[str]
) -> Client:
    """Start a collector of its own BMCs, in a folder of its own; it is ended with the stack."""
    folder = parent / name
    folder.mkdir()
    fleet = sim.fleet(folder, ids, f"{INTERVAL_S}s")
    environ = {**os.environ, "BMC_PASSWORD": PASSWORD, "ENERGY_FLEET": str(fleet)}
    environ |= {"ENERGY_STATE_DIR": str(folder / "state"), "ENERGY_EXECD": str(EXECD)}
    command = [str(EXECD), "run"]
    if name == "plugin":
        main = folder / "telegraf.conf"
        main.write_text(AGENT.format(file=folder / "lines"), encoding="utf-8")
        command = ["telegraf", "--config", str(main), "--config", str(DROP_IN)]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environ, bufsize=0
        )
    stack.callback(_end, process)
    return Client(name, process)


def _child(pid: int) -> int:
    """Return the collector that a Telegraf has started."""
    deadline = time.monotonic() + 30
    while True:
        children = Path(f"/proc/{pid}/task").glob("*/children")
        found = [int(one) for file in children for one in file.read_text(encoding="ascii").split()]
        if found or time.monotonic() > deadline:
            return found[0]
        time.sleep(0.2)


def _window(sim: Simulated, ids: dict[str, list[str]], clients: dict[int, Client], window_s: float) -> None:
    before_s = {pid: cpu_of_process_s(pid) for pid in clients}
    before = sim.stats()
    time.sleep(window_s)
    after = sim.stats()
    for pid, client in clients.items():
        client.cpu_s.append(cpu_of_process_s(pid) - before_s[pid])
        requests = sum(after[one]["requests"] - before[one]["requests"] for one in ids[client.name])
        client.polls.append(float(requests or 1))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
