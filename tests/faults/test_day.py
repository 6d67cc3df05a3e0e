"""A day of a hundred BMCs, all kinds of faults among them, in virtual time: few log-ins, one session each."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from energyrecorder_execd import schedule
from energyrecorder_execd.fleet import Server
from energyrecorder_execd.guard import LockoutGuard
from energyrecorder_execd.lockout_file import LockoutFile
from energyrecorder_execd.loop import BmcLoop, Surroundings
from energyrecorder_execd.poller import Tools
from energyrecorder_execd.readers.registry import Registry
from energyrecorder_execd.state import FactsStore
from execd.virtual_time import VirtualLoop
from support.bmcsim import simulated
from support.readers import target
from support.troubles import HEALTHY, KINDS, TROUBLED, bmcs, fault, protocol

DAY_S, HOUR_S = 86400.0, 3600.0
INTERVAL_S = 600.0
"""Polls are so far apart, for half a minute of work in all, and still nearer than a session's idle time."""

MOST_LOG_INS = 4
SETTLE_S = 0.005
MORE = 'scheme = "http"\npower = { constant_w = 300 }'
"""Neither TLS nor a power that changes has to do with log-ins, and a day has many of both."""


def _trouble(sim):
    """Let every kind of fault strike each troubled BMC once, at a drawn time.

    Long enough to meet a poll, too short for a session to expire by itself: half an hour without use.
    """
    drawn = random.Random(24)
    for name in TROUBLED:
        for kind in KINDS:
            at_s, for_s = drawn.uniform(HOUR_S, DAY_S - HOUR_S), drawn.uniform(INTERVAL_S, 1.5 * INTERVAL_S)
            body = {"at_s": at_s, **fault(kind, for_s)}
            sim.fleet.bmcs[name].server.add_fault(body, where=name, now_ns=time.time_ns())


class _Collector:
    """The loops of all BMCs, and what they share."""

    def __init__(self, sim, folder):
        loop = asyncio.get_running_loop()
        self._registry = Registry()
        file = LockoutFile(folder)
        tools = Tools(
            LockoutGuard(file, loop.wall_ns), self._registry.reader, file.credential, loop.wall_ns, loop.time
        )
        around = Surroundings(tools, FactsStore(folder / "servers", loop.time), lambda lines: None)
        self._loops = [BmcLoop(self._server(sim, name), around) for name in HEALTHY + TROUBLED]

    def _server(self, sim, name):
        aim = target(sim, name, timeout_s=5.0)
        return Server(name, "pod1", protocol(name), INTERVAL_S, "lab", {}, aim, "fleet.toml")

    async def run(self, for_s):
        tasks = [asyncio.create_task(loop.run()) for loop in self._loops]
        await asyncio.sleep(for_s)
        for loop in self._loops:
            loop.stop()
        await asyncio.gather(*tasks)

    async def close(self):
        for loop in self._loops:
            await loop.close()
        await self._registry.close()


async def _day(folder):
    """Return what each BMC counted by the end of the day, and after the end of the collector."""
    (folder / "sim").mkdir()
    async with simulated(folder / "sim", bmcs(MORE)) as sim:
        _trouble(sim)
        collector = _Collector(sim, folder)
        await collector.run(DAY_S)
        stats = {name: bmc.server.stats() for name, bmc in sim.fleet.bmcs.items()}
        await collector.close()
        left = {name: bmc.server.stats()["live_sessions"] for name, bmc in sim.fleet.bmcs.items()}
    return stats, left


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_a_day_costs_few_log_ins_on_a_hundred_bmcs(tmp_path, monkeypatch):
    """One on each that is well; one more each time when a troubled one forgets its sessions."""
    # All at one moment: there are fewer moments at which to wait until the sockets are silent.
    monkeypatch.setattr(schedule, "offset_ns", lambda _server, _every_s: 0)
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(settle_s=SETTLE_S)) as runner:
        monkeypatch.setattr(time, "time_ns", runner.get_loop().wall_ns)
        stats, left = runner.run(_day(tmp_path))
    log_ins = {name: counted["log_ins"] for name, counted in stats.items()}
    assert {name: count for name, count in log_ins.items() if count > MOST_LOG_INS} == {}
    assert {name: log_ins[name] for name in HEALTHY if log_ins[name] != 1} == {}
    assert {name: counted for name, counted in stats.items() if counted["most_sessions"] > 1} == {}
    assert {name: counted for name, counted in stats.items() if counted["refused"]} == {}
    assert {name: sessions for name, sessions in left.items() if sessions} == {}
    # The day took place: all were polled, and what costs a log-in struck.
    assert min(stats[name]["requests"] for name in HEALTHY) >= DAY_S / INTERVAL_S
    assert min(log_ins[name] for name in TROUBLED) > 1
