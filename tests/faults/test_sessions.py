"""Sessions on a BMC: one, reused, never left behind; few log-ins a day."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from energyrecorder_execd.readers.ilo import IloReader
from energyrecorder_execd.readers.redfish import RedfishReader
from execd.waiting import wait_until
from support.bmcsim import FLEET, PASSWORD, serving, simulated
from support.execd import write_fleet
from support.readers import Clock, reading, target

DELL = '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\n'
ILO = '[[bmc]]\nid = "a"\nprotocol = "ilo5"\npower = { constant_w = 321 }\n'


async def test_a_hundred_polls_are_one_log_in(tmp_path):
    """At no poll is there more than one session; after the end there is none."""
    async with simulated(tmp_path, DELL) as sim:
        async with reading(RedfishReader, target(sim, "a")) as reader:
            for _ in range(100):
                assert (await reader.poll()).error == ""
                stats = (await sim.ask("/stats"))["a"]
                assert (stats["live_sessions"], stats["log_ins"]) == (1, 1)
        assert (await sim.ask("/stats"))["a"]["live_sessions"] == 0


@pytest.mark.parametrize(("table", "factory"), [(DELL, RedfishReader), (ILO, IloReader)])
async def test_a_day_costs_at_most_four_log_ins(tmp_path, table, factory):
    """24 simulated hours, the BMC forgetting all sessions once in between."""
    clock = Clock()
    async with simulated(tmp_path, table) as sim:
        async with reading(factory, target(sim, "a"), clock=clock) as reader:
            for minute in range(24 * 60):
                if minute == 700:
                    await sim.order("/fault", {"server": "a", "kind": "session_expiry", "count": 1})
                await reader.poll()
                clock.ahead_s += 60
        stats = (await sim.ask("/stats"))["a"]
        assert 2 <= stats["log_ins"] <= 4
        assert stats["refused"] == 0


def _stats(sim):
    with urllib.request.urlopen(f"{sim.listing['control']}/stats", timeout=10) as answer:
        return json.load(answer)["a"]


def _run(fleet, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "energyrecorder_execd", "run", "--fleet", fleet, "--state", folder / "state"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "BMC_PASSWORD": PASSWORD},
    )


@pytest.mark.e2e
def test_a_killed_run_leaves_one_session_that_the_next_one_deletes(tmp_path):
    """SIGKILL cannot log out; after the first poll of the next run there is one session again, then none."""
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + DELL, encoding="utf-8")
    with serving(spec) as sim:
        fleet = write_fleet(tmp_path, sim, {"a": {"protocol": "redfish", "interval": "0.5s"}})
        before = 0
        for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            running = _run(fleet, tmp_path)
            try:
                # Two polls more than discovery asks for: the log-in is over and its session on disk.
                wait_until(lambda seen=before: _stats(sim)["requests"] >= seen + 15, 30)
                assert _stats(sim)["live_sessions"] == 1
                running.send_signal(number)
                running.wait(10)
            finally:
                running.kill()
                running.wait()
                running.stdin.close()
            before = _stats(sim)["requests"]
        stats = _stats(sim)
        assert (stats["live_sessions"], stats["log_ins"], stats["refused"]) == (0, 3, 0)
