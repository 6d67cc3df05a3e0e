"""Sessions on a BMC: one, reused, never left behind; few log-ins a day."""

from __future__ import annotations

import contextlib
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


@contextlib.contextmanager
def _run(fleet, state):
    process = subprocess.Popen(
        [sys.executable, "-m", "energyrecorder_execd", "run", "--fleet", fleet, "--state", state],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "BMC_PASSWORD": PASSWORD},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


@pytest.mark.e2e
def test_a_killed_run_leaves_one_session_that_the_next_one_ends(tmp_path):
    """A hundred polls, SIGKILL, again: the BMC never has two sessions at a time, and none in the end."""
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + DELL, encoding="utf-8")
    with serving(spec) as sim:
        fleet = write_fleet(tmp_path, sim, {"a": {"protocol": "redfish", "interval": "0.5s"}})
        before = 0
        for number, polls in ((signal.SIGKILL, 100), (signal.SIGKILL, 5), (signal.SIGTERM, 5)):
            with _run(fleet, tmp_path / "state") as running:
                # The first poll finds out what there is; then each is one request.
                enough = before + 15 + polls
                wait_until(lambda enough=enough: _stats(sim)["requests"] >= enough or running.poll(), 200)
                assert _stats(sim)["live_sessions"] == 1
                running.send_signal(number)
                running.wait(30)
            before = _stats(sim)["requests"]
        stats = _stats(sim)
        assert (stats["live_sessions"], stats["log_ins"], stats["refused"]) == (0, 3, 0)
        assert stats["most_sessions"] == 1


def test_a_run_that_is_killed_in_its_first_poll_leaves_no_second_session(tmp_path):
    """The session is on disk before anything else is asked: a crash at each start does not fill the table."""
    spec = tmp_path / "sim.toml"
    slow = 'faults = [{ kind = "slow", delay_s = 600, path = "/redfish/v1/Chassis*" }]\n'
    spec.write_text(FLEET + DELL + slow, encoding="utf-8")
    state = tmp_path / "state"
    kept = state / "execd" / "servers" / "a.json"
    with serving(spec) as sim:
        fleet = write_fleet(tmp_path, sim, {"a": {"protocol": "redfish", "interval": "0.5s"}})
        tokens = set()
        for count in (1, 2, 3):
            with _run(fleet, state):
                wait_until(lambda wanted=count: _stats(sim)["log_ins"] == wanted, 60)
                wait_until(lambda: _token(kept) not in {None, *tokens}, 60)
                tokens.add(_token(kept))
        stats = _stats(sim)
        assert (stats["live_sessions"], stats["most_sessions"]) == (1, 1)
    assert kept.stat().st_mode & 0o077 == 0


def _token(kept):
    return json.loads(kept.read_text())["facts"]["redfish"].get("token") if kept.exists() else None
