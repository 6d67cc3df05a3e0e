"""The whole chain: BMCs, collector under real Telegraf, real InfluxDB, annotator, steps from SDK and CLI."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from energyrecorder import schema
from support import annotator
from support.bmcsim import PASSWORD
from support.processes import descendants
from support.stack import PROTOCOLS, ask_control, order_control, three_bmcs
from support.telegraf import Telegraf

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SETTINGS = """
[samples]
kind = "influxdb"
[influxdb]
url = "{url}"
database = "energyrecorder"
"""
SCRIPT = """
import time
import energyrecorder as energy

@energy.enable_recording("functest")
def run():
    with energy.set_step("boot"):
        time.sleep(9)
    with energy.set_step("vping"):
        time.sleep(9)
    energy.Energy.mark("vm destroyed")

run()
"""
MEASURABLE = ("resolved", "coarse")
RANGES_W = {"dell-1": (240, 360), "hpe-1": (210, 290), "ipmi-1": (170, 230)}
"""Of the formulas of `support.stack`, each in steps of 1 W."""
QUANTUM_W = 1.0
WHOLE = 0.95
ENERGY_STEP = Path(sys.executable).parent / "energy-step"


class Chain:
    """All parts, running."""

    def __init__(self, folder, influxd, sim, telegraf, service):
        self.folder, self.influxd, self.sim, self.telegraf, self.service = (
            folder,
            influxd,
            sim,
            telegraf,
            service,
        )
        self.environ = {
            **os.environ,
            "ENERGY_URL": f"http://127.0.0.1:{service.port}",
            "ENERGY_ENV": "lab",
            "ENERGY_SPOOL_DIR": str(folder / "spool"),
            "ENERGY_STATE_FILE": str(folder / "job.json"),
        }

    def until(self, condition, seconds=120.0):
        return self.service.until(condition, seconds)

    def query(self, text):
        """Return the rows of the answer as dictionaries, tags included."""
        try:
            found = self.influxd.query(text, "energyrecorder")
        except OSError:
            return []
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], row, strict=True))}
            for series in found
            for row in series.get("values", ())
        ]

    def polls(self):
        return sum(row["count"] for row in self.query("SELECT count(up) FROM server_bmc"))

    def polls_after(self, more):
        before = self.polls()
        self.until(lambda: self.polls() >= before + more)

    def assert_no_wrong_point(self):
        """Each total lies in the range of its simulated server, and each tag is one of the schema's."""
        power = f'SELECT min(watts), max(watts) FROM "{schema.SERVER_POWER}"'
        for row in self.query(f"{power} WHERE scope = 'server' GROUP BY server"):
            least_w, most_w = RANGES_W[row["server"]]
            assert least_w - QUANTUM_W <= row["min"] <= row["max"] <= most_w + QUANTUM_W, row
        keys = {}
        for series in self.influxd.query("SHOW TAG KEYS", "energyrecorder"):
            keys[series["name"]] = {row[0] for row in series["values"]}
        assert {schema.SERVER_POWER, schema.ENERGY_STEPS, schema.ENERGY_STEP_SERVERS} <= keys.keys()
        for name, found in keys.items():
            assert found <= {*schema.measurement(name).tags, *schema.STATIC_TAGS}, name

    def kinds_of_marks(self):
        return {row["kind"] for row in self.query(f'SELECT * FROM "{schema.ENERGY_MARKS}"')}

    def run_script(self):
        return subprocess.Popen([sys.executable, "-c", SCRIPT], env=self.environ)

    def run_cli(self, *command, step="load"):
        words = [ENERGY_STEP, "run", "--scenario", "nightly", "--step", step, "--", *command]
        return subprocess.run(
            words, env=self.environ, timeout=120, check=True, capture_output=True, text=True
        )

    def results(self, count):
        """Wait until so many ended steps have a result and return them."""

        def done():
            found = self.query(f'SELECT * FROM "{schema.ENERGY_STEPS}"')
            ready = [row for row in found if row["state"] != "running" and row["quality"] != "pending"]
            return ready if len(ready) >= count else None

        return self.until(done, 170.0)

    def truth(self, step):
        """Return the exact joules of all servers between the edges of a step."""
        window = {"from": step["time"], "to": int(step["time_end"]) * 10**6}
        return ask_control(self.sim, "/truth", server="*", **window)["energy_j"]

    def assert_truthful(self, step):
        error = abs(step["energy_j"] - self.truth(step))
        assert error <= 1.5 * step["u95_j"], (step["step"], step["energy_j"], self.truth(step), step["u95_j"])


@pytest.fixture
def chain(tmp_path, influxd_of_its_own):
    influxd = influxd_of_its_own
    with three_bmcs(tmp_path, interval="1s") as sim:
        telegraf = Telegraf(
            tmp_path,
            BMC_PASSWORD=PASSWORD,
            ENERGY_INFLUX_URL=influxd.url,
            ENERGY_INFLUX_DB="energyrecorder",
        )
        telegraf.add("energy-fleet.conf", ('# restart_delay = "10s"', 'restart_delay = "1s"'))
        telegraf.add("energy-influxdb.conf")
        folder = tmp_path / "annotator"
        folder.mkdir()
        with telegraf, annotator.running(folder, more=SETTINGS.format(url=influxd.url)) as service:
            found = Chain(tmp_path, influxd, sim, telegraf, service)
            found.until(lambda: found.polls() >= 2 * len(PROTOCOLS), 60)
            yield found


def test_joules_of_steps_from_sdk_and_command_line(chain):
    """Within one and a half intervals of the truth, a hard reboot in between; times to the nanosecond."""
    script = chain.run_script()
    chain.run_cli("sleep", "9")
    order_control(chain.sim, "/reboot", {"server": "dell-1", "off_s": 6, "standby_w": 12})
    chain.run_cli("sleep", "9", step="after reboot")
    assert script.wait(60) == 0
    results = chain.results(7)
    assert {row["step"] or "" for row in results} == {"", "boot", "vping", "load", "after reboot"}
    measured = [row for row in results if is_measured(row)]
    assert {row["step"] for row in measured if row["step"]} >= {"boot", "vping", "load", "after reboot"}
    for row in measured:
        chain.assert_truthful(row)
        assert row["servers"] == len(PROTOCOLS)
    client = chain.service.client()
    runs = client.get("/v1/runs?env=lab")["runs"]
    in_database = {row["step_id"]: row for row in results}
    for run in runs:
        for step in client.get(f"/v1/runs/{run['run_id']}")["steps"]:
            row = in_database[step["step_id"]]
            assert row["time"] == step["started_ns"]
            assert row["time_end"] == step["ended_ns"] // 10**6
            assert row["newState"] == schema.GRAFANA_STATES[row["state"]]
    per_server = chain.query(f"SELECT * FROM \"{schema.ENERGY_STEP_SERVERS}\" WHERE step = 'load'")
    assert {row["server"] for row in per_server} == set(PROTOCOLS)
    profile = chain.until(lambda: chain.query(f'SELECT * FROM "{schema.ENERGY_RUN_PROFILE}"'))
    assert min(row["time"] for row in profile) < 10 * 10**9
    chain.until(lambda: {"note", "power"} <= chain.kinds_of_marks())


def test_faults_lose_no_acknowledged_step(chain):
    """InfluxDB away for a minute, collector and Telegraf killed and started again: marked, never wrong."""
    chain.run_cli("sleep", "8", step="before")
    chain.influxd.stop()
    chain.run_cli("sleep", "60", step="while away")
    chain.influxd.start()
    chain.polls_after(6)
    started = descendants(chain.telegraf.process.pid)
    plugin = next(pid for pid in started if b"energy-execd" in _command(pid))
    os.kill(plugin, signal.SIGKILL)
    chain.run_cli("sleep", "6", step="collector killed")
    chain.polls_after(6)
    chain.telegraf.stop(signal.SIGKILL)
    for pid in _all_plugins(chain.folder):
        os.kill(pid, signal.SIGTERM)
    chain.run_cli("sleep", "4", step="telegraf killed")
    chain.telegraf.start()
    chain.polls_after(6)
    chain.telegraf.send(signal.SIGHUP)
    chain.run_cli("sleep", "6", step="reload")
    names = {"before", "while away", "collector killed", "telegraf killed", "reload"}
    results = chain.results(2 * len(names))
    by_step = {row["step"]: row for row in results if row["step"]}
    assert set(by_step) == names
    for row in results:
        assert row["state"] == "passed"
        if row["quality"] in MEASURABLE:
            chain.assert_truthful(row)
        else:
            assert row["reason"]
    assert is_measured(by_step["before"])
    chain.assert_no_wrong_point()


def is_measured(row):
    """Return whether a step has its energy; without it a machine that stalled must have left a gap in it."""
    if row["quality"] in MEASURABLE:
        return True
    assert row["coverage"] < WHOLE, row
    return False


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _all_plugins(folder):
    """Return the collectors of this test that outlived their Telegraf: those with our state directory."""
    marker = f"ENERGY_STATE_DIR={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker in path.read_bytes() and b"energy-execd" in _command(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return [pid for pid in found if b"\0run\0" in _command(pid) + b"\0"]
