"""The plugin in a real Telegraf, with simulated BMCs of all three protocols behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest
from line_protocol_parser import parse_line

from execd.waiting import wait_until
from support.bmcsim import FLEET, PASSWORD, serving
from support.execd import table, write_fleet
from support.tools import need

pytestmark = pytest.mark.e2e

BMCS = {
    "dell": {"protocol": "redfish", "payload": "dell-r640-idrac9", "power": {"constant_w": 212.0}},
    "hpe": {"protocol": "ilo5", "payload": "hpe-dl385-ilo5", "power": {"constant_w": 150.0}},
    "dcmi": {"protocol": "ipmi", "power": {"constant_w": 180.0}},
}
PROTOCOLS = {"dell": "redfish", "hpe": "ilo", "dcmi": "ipmi"}
CONF = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  omit_hostname = true
[[inputs.execd]]
  alias = "energy"
  command = [{command}]
  environment = ["ENERGY_STATE_DIR={state}"]
  signal = "STDIN"
  restart_delay = "10s"
  data_format = "influx"
[[outputs.file]]
  files = ["{out}"]
  data_format = "influx"
"""


class Chain:
    """Simulated BMCs, a fleet file over them, and a Telegraf configuration that runs the plugin."""

    def __init__(self, folder, sim):
        self.sim = sim
        self.out = folder / "out.lp"
        self.state = folder / "state"
        self.fleet = write_fleet(
            folder, sim, {name: {"protocol": PROTOCOLS[name], "interval": "1s"} for name in BMCS}
        )
        self.plugin = [sys.executable, "-m", "energyrecorder_execd", "run", "--fleet", str(self.fleet)]
        command = ", ".join(f'"{part}"' for part in self.plugin)
        self.conf = folder / "telegraf.conf"
        self.conf.write_text(CONF.format(command=command, state=self.state, out=self.out))
        self.env = {**os.environ, "BMC_PASSWORD": PASSWORD, "ENERGY_STATE_DIR": str(self.state)}

    def telegraf(self, *arguments):
        return [need("telegraf"), "--config", str(self.conf), *arguments]

    def stats(self):
        """What each simulated BMC counted."""
        with urllib.request.urlopen(f"{self.sim.listing['control']}/stats", timeout=10) as answer:
            return json.load(answer)

    def sessions(self, server):
        stats = self.stats()
        return stats.get("servers", stats)[server]["live_sessions"]


@pytest.fixture
def chain(tmp_path):
    """The chain on loopback."""
    spec = tmp_path / "sim.toml"
    tables = [table("[[bmc]]", {"id": name, **values}) for name, values in BMCS.items()]
    spec.write_text(FLEET + "".join(tables), encoding="utf-8")
    with serving(spec) as sim:
        yield Chain(tmp_path, sim)


def _points(text):
    return [parse_line(line.removeprefix("> ")) for line in text.splitlines() if "server_" in line]


def _watts(points):
    return {
        point["tags"]["server"]: point["fields"]["watts"]
        for point in points
        if point["measurement"] == "server_power" and point["tags"]["scope"] == "server"
    }


@pytest.mark.parametrize("how", ["--test", "--once"])
def test_one_gather_of_telegraf_shows_every_bmc(chain, how):
    """`telegraf --test` and `--once`: a newline, then the end of input."""
    done = subprocess.run(
        chain.telegraf(how), env=chain.env, capture_output=True, text=True, timeout=60, check=False
    )
    text = done.stdout if how == "--test" else chain.out.read_text()
    assert _watts(_points(text)) == {
        "dell": pytest.approx(212.0, abs=4.0),
        "hpe": pytest.approx(150.0, abs=4.0),
        "dcmi": pytest.approx(180.0, abs=4.0),
    }, done.stderr
    assert all(point["fields"]["up"] for point in _points(text) if point["measurement"] == "server_bmc")


def test_telegraf_runs_and_stops_it_without_a_line_lost_or_a_session_left(chain):
    """Each tick of each BMC arrives, or is counted as missed; SIGTERM ends both; nobody stays logged in."""
    process = subprocess.Popen(chain.telegraf(), env=chain.env, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: chain.out.exists() and chain.out.read_text().count("server_bmc,") >= 12, 40)
        assert chain.sessions("dell") == 1
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert " E! " not in log, log
    assert chain.sessions("dell") == chain.sessions("dcmi") == 0
    points = [p for p in _points(chain.out.read_text()) if p["measurement"] == "server_bmc"]
    for name in BMCS:
        polls = [(p["time"], p["fields"]["late_ticks"]) for p in points if p["tags"]["server"] == name]
        ticks = sum(1 + missed for _, missed in polls[1:])
        assert ticks >= (polls[-1][0] - polls[0][0]) / 1e9 - 1, polls


def test_a_killed_plugin_leaves_no_second_session(chain):
    """Five times SIGKILL and a new start: the session left behind is deleted by the next one."""
    for _ in range(5):
        process = subprocess.Popen(
            chain.plugin, env=chain.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with process:
            _read_until_polled(process, "dell")
            process.kill()
        assert chain.sessions("dell") <= 1
    process = subprocess.Popen(
        chain.plugin, env=chain.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        _read_until_polled(process, "dell")
        assert chain.sessions("dell") == 1
        process.stdin.close()
        process.stdout.read()
        assert process.wait(10) == 0
    assert chain.sessions("dell") == 0


def _read_until_polled(process, server):
    for line in process.stdout:
        if line.startswith("server_bmc") and f"server={server} " in line:
            return
    pytest.fail("the plugin ended")


def test_a_wrong_password_is_refused_once_within_the_minute(chain):
    """Whatever the number of polls and of starts."""
    env = {**chain.env, "BMC_PASSWORD": "wrong"}
    for _ in range(3):
        process = subprocess.Popen(
            chain.plugin, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with process:
            seen = set()
            for line in process.stdout:
                assert not line.startswith("server_power")
                seen.add((line.split("server=")[1].split()[0], line.split('error="')[1].split('"')[0]))
                if len(seen) == len(BMCS):
                    break
            process.stdin.close()
            process.stdout.read()
        assert seen == {(name, "auth") for name in BMCS}
    stats = chain.stats()
    assert {name: stats.get("servers", stats)[name]["refused"] for name in BMCS} == dict.fromkeys(BMCS, 1)
