"""A day of a hundred BMCs, all kinds of faults among them, in virtual time: few log-ins, one session each."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from line_protocol_parser import parse_line

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
HANGING = ("drip", "slow", "tls_stall")
SETTLE_S = 0.005
MORE = 'scheme = "http"\npower = { constant_w = 300 }'
"""Neither TLS nor a power that changes has to do with log-ins, and a day has many of both."""


def _trouble(sim):
    """Let every kind of fault strike each troubled BMC once, at a drawn time: all of them hang together.

    Long enough to meet a poll, too short for a session to expire by itself: half an hour without use.
    """
    drawn = random.Random(24)
    common_s = {kind: drawn.uniform(HOUR_S, DAY_S - HOUR_S) for kind in HANGING}
    for name in TROUBLED:
        for kind in KINDS:
            at_s = common_s.get(kind) or drawn.uniform(HOUR_S, DAY_S - HOUR_S)
            body = {"at_s": at_s, **fault(kind, drawn.uniform(INTERVAL_S, 1.5 * INTERVAL_S))}
            sim.fleet.bmcs[name].server.add_fault(body, where=name, now_ns=time.time_ns())


class _Collector:
    """The loops of all BMCs, what they share, and time and fields of each poll's ``server_bmc`` line."""

    def __init__(self, sim, folder):
        loop = asyncio.get_running_loop()
        self._registry, self.polls = Registry(), {name: [] for name in TROUBLED + HEALTHY}
        file = LockoutFile(folder)
        tools = Tools(
            LockoutGuard(file, loop.wall_ns), self._registry.reader, file.credential, loop.wall_ns, loop.time
        )
        around = Surroundings(tools, FactsStore(folder / "servers", loop.time), self._take)
        self._loops = [BmcLoop(self._server(sim, name), around) for name in TROUBLED + HEALTHY]

    def _server(self, sim, name):
        aim = target(sim, name, timeout_s=5.0)
        return Server(name, "pod1", protocol(name), INTERVAL_S, "lab", {}, aim, "fleet.toml")

    def _take(self, lines):
        for point in map(parse_line, lines):
            if point["measurement"] == "server_bmc":
                self.polls[point["tags"]["server"]].append((point["time"], point["fields"]))

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
    """Return the polls of each BMC, what it counted by the end of the day, and its sessions after that."""
    (folder / "sim").mkdir()
    async with simulated(folder / "sim", bmcs(MORE)) as sim:
        _trouble(sim)
        collector = _Collector(sim, folder)
        await collector.run(DAY_S)
        stats = {name: bmc.server.stats() for name, bmc in sim.fleet.bmcs.items()}
        await collector.close()
        left = {name: bmc.server.stats()["live_sessions"] for name, bmc in sim.fleet.bmcs.items()}
    return collector.polls, stats, left


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Return what `_day` does; all BMCs are polled at the same moments."""
    with pytest.MonkeyPatch.context() as patch:
        # There are fewer moments at which to wait until the sockets are silent.
        patch.setattr(schedule, "offset_ns", lambda _server, _every_s: 0)
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(settle_s=SETTLE_S)) as runner:
            patch.setattr(time, "time_ns", runner.get_loop().wall_ns)
            return runner.run(_day(tmp_path_factory.mktemp("day")))


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_a_day_costs_few_log_ins_on_a_hundred_bmcs(day):
    """One on each that is well; one more each time when a troubled one forgets its sessions."""
    _, stats, left = day
    log_ins = {name: counted["log_ins"] for name, counted in stats.items()}
    assert {name: count for name, count in log_ins.items() if count > MOST_LOG_INS} == {}
    assert {name: log_ins[name] for name in HEALTHY if log_ins[name] != 1} == {}
    # What costs a log-in struck them all.
    assert min(log_ins[name] for name in TROUBLED) > 1
    assert {name: counted for name, counted in stats.items() if counted["most_sessions"] > 1} == {}
    assert {name: counted for name, counted in stats.items() if counted["refused"]} == {}
    assert {name: sessions for name, sessions in left.items() if sessions} == {}


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_no_bmc_waits_for_one_that_is_slow_or_hangs(day):
    """All that are well are read at each tick of the day, on a machine with any load."""
    polls, _, _ = day
    for name in HEALTHY:
        served = [
            (at_ns / 1e9 % INTERVAL_S, fields["late_ticks"], fields["error"]) for at_ns, fields in polls[name]
        ]
        assert len(served) == DAY_S / INTERVAL_S, name
        wrong = [one for one in served if not (one[0] < 1 and one[1:] == (0, ""))]
        assert wrong == [], name
    # The others did something.
    errors = {fields["error"] for name in TROUBLED for _, fields in polls[name]}
    assert errors >= {"timeout", "busy", "unreachable", "data", "no_reading"}
