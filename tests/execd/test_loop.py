"""The loop of one BMC in virtual time: ticks, gathers, back-off, and what is written in each case."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from energyrecorder.errors import BmcError
from energyrecorder_execd import schedule
from energyrecorder_execd.loop import BmcLoop, Surroundings
from energyrecorder_execd.state import FactsStore
from execd.test_poller import Bench, good_poll, server
from execd.virtual_time import in_virtual_time
from execd.waiting import until


class Loop:
    """A loop whose lines are kept with the time at which they were written."""

    def __init__(self, folder, act, *, interval_s=0.5, clock=None, facts=None):
        bench = Bench(folder, act)
        self.reader = bench.reader
        self.written = []
        self.time = asyncio.get_running_loop()
        tools = replace(bench.tools, clock=clock or self.time.wall_ns, monotonic=self.time.time)
        around = Surroundings(tools, FactsStore(folder / "servers"), self._write)
        self.server = replace(server(timeout_s=5.0), interval_s=interval_s)
        if facts is not None:
            around.facts.save(self.server.id, self.server.bmc, facts)
        self.loop = BmcLoop(self.server, around)

    def _write(self, lines):
        self.written.append((self.time.wall_ns() / 1e9, lines))

    @property
    def bmc_lines(self):
        return [line for _, lines in self.written for line in lines if line.startswith("server_bmc")]

    async def run_until(self, polls):
        """Run the loop until so many polls were written, then stop it."""
        task = asyncio.create_task(self.loop.run())
        await until(lambda: len(self.written) >= polls or task.done())
        self.loop.stop()
        async with asyncio.timeout(15):
            await task


@in_virtual_time
async def test_polls_begin_on_the_ticks(tmp_path):
    """Offset and interval decide, not how long the poll before took."""
    loop = Loop(tmp_path, lambda _: _after(0.1))
    await loop.run_until(4)
    offset_s = schedule.offset_ns("a", 0.5) / 1e9
    begun = [written - 0.1 for written, _ in loop.written]
    late = [(moment - offset_s + 0.001) % 0.5 for moment in begun]
    assert all(value < 0.002 for value in late), late
    assert begun[-1] - begun[0] == pytest.approx(1.5, abs=0.001)


async def _after(seconds, **more):
    await asyncio.sleep(seconds)
    return good_poll(**more)


@in_virtual_time
async def test_ticks_that_pass_during_a_poll_are_counted(tmp_path):
    """A poll of 1.2 s at 0.5 s: two ticks are lost, and the next line says so."""
    loop = Loop(tmp_path, lambda reader: _after(1.2 if reader.polls == 1 else 0.0))
    await loop.run_until(3)
    assert [re.search(r"late_ticks=(\d+)i", line)[1] for line in loop.bmc_lines] == ["0", "2", "0"]


@in_virtual_time
async def test_a_gather_polls_at_once_and_only_before_the_first_poll(tmp_path):
    """Whatever the interval."""
    loop = Loop(tmp_path, lambda _: good_poll(), interval_s=3600.0)
    task = asyncio.create_task(loop.loop.run())
    await asyncio.sleep(0.05)
    assert not loop.written
    loop.loop.gather()
    loop.loop.gather()
    await until(lambda: loop.written, 2.0)
    loop.loop.gather()
    await asyncio.sleep(0.1)
    assert len(loop.written) == 1
    loop.loop.stop()
    await task


@in_virtual_time
async def test_a_gather_that_is_due_is_done_after_stop_and_nothing_else_begun(tmp_path):
    """As at the end of `telegraf --test`."""
    loop = Loop(tmp_path, lambda _: good_poll(), interval_s=3600.0)
    loop.loop.gather()
    loop.loop.stop()
    assert loop.loop.gathering
    async with asyncio.timeout(2):
        await loop.loop.run()
    assert len(loop.written) == 1
    quiet = Loop(tmp_path, lambda _: good_poll(), interval_s=3600.0)
    quiet.loop.stop()
    async with asyncio.timeout(2):
        await quiet.loop.run()
    assert not quiet.written


@in_virtual_time
async def test_a_bmc_that_is_left_alone_still_has_its_line_on_each_tick(tmp_path):
    """With the reason, without a request, and never with old watts."""

    def busy(reader):
        error = BmcError("503", reason="busy")
        error.retry_after_s = 60.0
        raise error

    loop = Loop(tmp_path, busy)
    await loop.run_until(3)
    assert loop.reader.polls == 1
    assert len(loop.bmc_lines) == 3
    for line in loop.bmc_lines:
        assert 'up=0i,host="unknown"' in line
        assert 'error="busy"' in line
    assert len({line.rsplit(" ", 1)[1] for line in loop.bmc_lines}) == 3


@in_virtual_time
async def test_what_is_learned_is_on_disk_after_the_poll(tmp_path):
    """So that a kill loses nothing, above all no session."""
    loop = Loop(tmp_path, lambda _: good_poll())
    loop.loop._memory.facts["redfish"] = {"session": "/s/1"}
    await loop.run_until(1)
    assert FactsStore(tmp_path / "servers").load("a", "10.0.0.1")["redfish"] == {"session": "/s/1"}


@pytest.mark.parametrize(
    ("interval_s", "facts", "expected"),
    [
        (None, {}, 10.0),
        (None, {"collector": {"refresh_s": 20.0}}, 10.0),
        (None, {"collector": {"refresh_s": 60.0}}, 30.0),
        (None, {"redfish": {"auth": "basic"}, "collector": {"refresh_s": 1.0}}, 60.0),
        (5.0, {"redfish": {"auth": "basic"}}, 5.0),
    ],
)
@in_virtual_time
async def test_the_interval_follows_what_is_known(tmp_path, interval_s, facts, expected):
    """Half the refresh period; a minute where each request carries the password, unless told else."""
    loop = Loop(tmp_path, lambda _: good_poll(), interval_s=interval_s, facts=facts)
    assert loop.loop._interval_s() == expected


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
@in_virtual_time
async def test_a_step_of_the_wall_clock_neither_stops_nor_hurries_the_loop(tmp_path, step_s):
    """Set back or forward by an hour: about one poll per interval goes on, and no tick is called lost."""
    offset = 0.0
    running = asyncio.get_running_loop()

    def clock():
        return running.wall_ns() + int(offset * 1e9)

    loop = Loop(tmp_path, lambda _: good_poll(), clock=clock)
    task = asyncio.create_task(loop.loop.run())
    await until(lambda: len(loop.written) >= 2)
    offset = step_s
    stepped_s = running.time()
    await until(lambda: len(loop.written) >= 6)
    took_s = running.time() - stepped_s
    loop.loop.stop()
    await task
    assert 1.0 < took_s < 3.1
    assert all("late_ticks=0i" in line for line in loop.bmc_lines)
