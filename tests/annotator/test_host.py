"""Plugins run as Telegraf would run them."""

import asyncio
import logging
import os
import sys
import time

import pytest

from energyrecorder_annotator import host as host_module
from energyrecorder_annotator.host import PluginHost
from energyrecorder_annotator.samples.base import BmcPoll, Reading
from support.annotator import LONGEST_S, PLUGINS

COUNTING = """
import sys
print("server_power,env=e,server=s,scope=server watts=1 1", flush=True)
for number, line in enumerate(sys.stdin, start=2):
    print(f"server_power,env=e,server=s,scope=server watts={number} {number}", flush=True)
print("server_power,env=e,server=s,scope=server watts=99 99", flush=True)
sys.stdout.write("server_power,env=e,server=s,scope=server watts=12")
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("server_power,env=e,server=s,scope=server watts=1 1", flush=True)
while True:
    time.sleep(1)
"""
SHOWS_ENVIRONMENT = """
import os
print(f"server_power,env=e,server={os.environ['ENERGY_STATE_DIR']},scope=server watts=1 1", flush=True)
input()
"""
ENDS_ON_TERM = STUBBORN.replace("signal.SIG_IGN", "lambda *_: sys.exit(0)")


class Hosted:
    """A host running in a task, with what it took."""

    def __init__(self, *command, interval_s=60.0, **environ):
        self.points = []
        self.host = PluginHost(
            command, self.points.append, environ={**os.environ, **environ}, interval_s=interval_s
        )
        self.task = asyncio.create_task(self.host.run())

    async def until(self, condition, seconds=LONGEST_S):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    async def stop(self):
        """Stop and return how long that took."""
        began = time.monotonic()
        self.host.stop()
        await self.task
        return time.monotonic() - began


def python(code):
    return sys.executable, "-c", code


async def test_newlines_come_on_the_interval_and_the_last_lines_are_taken():
    hosted = Hosted(*python(COUNTING), interval_s=0.2)
    await hosted.until(lambda: len(hosted.points) >= 4)
    assert await hosted.stop() < LONGEST_S
    watts = [point.watts for point in hosted.points]
    assert watts[:4] == [1.0, 2.0, 3.0, 4.0]
    assert watts[-1] == 99.0, "the line printed after stdin closed counts; the one without its end does not"


async def test_points_become_readings_and_polls():
    hosted = Hosted(sys.executable, str(PLUGINS / "steady.py"))
    await hosted.until(lambda: len(hosted.points) >= 8)
    await hosted.stop()
    assert {type(point) for point in hosted.points} == {Reading, BmcPoll}
    assert hosted.host.bad_lines == 0


async def test_a_clumsy_plugin_costs_its_bad_lines_alone_and_is_started_again(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(host_module, "FIRST_DELAY_S", 0.05)
    caplog.set_level(logging.DEBUG)
    hosted = Hosted(sys.executable, str(PLUGINS / "clumsy.py"), str(tmp_path / "starts"))
    await hosted.until(lambda: len(hosted.points) >= 2 and hosted.host.restarts == 1)
    await hosted.stop()
    assert [point.watts for point in hosted.points if point.watts is not None] == [100.0, 101.0]
    assert hosted.host.bad_lines == 8
    skipped = [r for r in caplog.records if "line that is skipped" in r.message]
    assert len(skipped) == 2, "once per start of the plugin"
    told = {(r.levelname, r.message[:40]) for r in caplog.records}
    assert ("WARNING", f"{hosted.host.name}: a warning") in told
    assert ("ERROR", f"{hosted.host.name}: a traceback without level"[:40]) in told
    assert any(
        r.levelname == "ERROR" and "yyyy" in r.message and len(r.message) < 70_000 for r in caplog.records
    )
    ended = [r.message for r in caplog.records if "exit status 3" in r.message]
    assert len(ended) == 1
    assert any("works again" in r.message for r in caplog.records)


async def test_a_plugin_that_keeps_dying_is_told_once_and_waited_for_longer_and_longer(monkeypatch, caplog):
    monkeypatch.setattr(host_module, "FIRST_DELAY_S", 0.02)
    delays = []
    wait_for = asyncio.wait_for

    async def noted(awaitable, seconds):
        delays.append(seconds)
        return await wait_for(awaitable, min(seconds, 0.05))

    monkeypatch.setattr(host_module.asyncio, "wait_for", noted)
    hosted = Hosted(*python("raise SystemExit(4)"))
    await hosted.until(lambda: hosted.host.restarts >= 5)
    await hosted.stop()
    assert delays[:5] == [0.02, 0.04, 0.08, 0.16, 0.32]
    assert len([r for r in caplog.records if "exit status 4" in r.message]) == 1


async def test_a_program_that_is_not_there_is_told_once_and_tried_again(monkeypatch, caplog):
    monkeypatch.setattr(host_module, "FIRST_DELAY_S", 0.02)
    hosted = Hosted("/nowhere/energy-execd")
    await hosted.until(lambda: hosted.host.restarts >= 2)
    await hosted.stop()
    [record] = [r for r in caplog.records if "cannot be started" in r.message]
    assert "'/nowhere/energy-execd'" in record.message


@pytest.mark.parametrize(
    ("code", "kill_after_s", "least_s"), [(ENDS_ON_TERM, 3600.0, 0.3), (STUBBORN, 0.6, 0.6)]
)
async def test_a_plugin_that_ignores_its_stdin_is_terminated_then_killed(
    monkeypatch, code, kill_after_s, least_s
):
    monkeypatch.setattr(host_module, "TERM_AFTER_S", 0.3)
    monkeypatch.setattr(host_module, "KILL_AFTER_S", kill_after_s)
    hosted = Hosted(*python(code))
    await hosted.until(lambda: hosted.points)
    assert least_s <= await hosted.stop() < LONGEST_S


def test_a_plugin_is_gone_before_the_annotator_has_to_be():
    assert host_module.KILL_AFTER_S < 5


async def test_a_plugin_that_does_not_read_its_newlines_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(host_module, "TERM_AFTER_S", 0.1)
    hosted = Hosted(*python(ENDS_ON_TERM), interval_s=0.001)
    await hosted.until(lambda: hosted.points)
    await asyncio.sleep(0.3)
    assert await hosted.stop() < LONGEST_S


async def test_the_state_directory_reaches_the_plugin():
    hosted = Hosted(*python(SHOWS_ENVIRONMENT), ENERGY_STATE_DIR="there")
    await hosted.until(lambda: hosted.points)
    await hosted.stop()
    assert hosted.points[0].server == "there"
