"""What docs/telegraf.md and docs/grafana.md tell somebody with an existing installation to do, done.

Their commands are taken out of the documents and run by a shell. Only four things differ from a machine of
yours: `sudo` puts another root before absolute paths, `systemctl` tells the test what to start, `systemd-run`
takes the variables of a file and nothing else, and the package comes from this checkout.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from energyrecorder_execd.setup.init import ENV
from grafana_queries import dashboards, interpolated, queries
from influxd import free_port
from stack.test_beside_others import NAMEDROP, names
from stack.test_full_chain import MEASURABLE, WHOLE
from support.bmcsim import PASSWORD
from support.stack import PROTOCOLS, three_bmcs
from support.telegraf import Telegraf
from support.tools import need

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parent.parent.parent
TELEGRAF = (ROOT / "docs" / "telegraf.md").read_text(encoding="utf-8")
GRAFANA = (ROOT / "docs" / "grafana.md").read_text(encoding="utf-8")
MOST_COMMANDS = 8
SHOWN = ("Power now/A", "Servers up/A", "Power and steps/A", "annotation Steps")
THEIRS = """
[[inputs.cpu]]
  percpu = false
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "theirs"
"""
SUDO = """#!{python}
import os, re, sys
words = sys.argv[1:]
if words[0] == "install":
    # The user telegraf is not on this machine.
    for option in ("-o", "-g"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
words = [re.sub("^([A-Za-z]+=-?)?/(opt|etc|var/lib)/", r"\\1{root}/\\2/", word) for word in words]
os.execvp(words[0], words)
"""
SYSTEMD_RUN = """#!{python}
import os, sys
words = sys.argv[1:]
environ = dict(os.environ)
while words[0].startswith("-"):
    if words.pop(0) == "-p":
        kind, _, value = words.pop(0).partition("=")
        # The user telegraf is not on this machine.
        assert kind in ("EnvironmentFile", "User"), kind
        if kind == "EnvironmentFile":
            lines = open(value.removeprefix("-")).read().splitlines()
            environ.update(line.split("=", 1) for line in lines if line and line[0] not in "#;")
os.execvpe(words[0], words, environ)
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >>{root}/started
"""


def blocks(text, heading):
    """Return the code blocks of a section, each as its lines."""
    section = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return [block.strip().splitlines() for block in section.split("```")[1::2]]


class Machine:
    """Another root, with a Telegraf and the folders of a Grafana in it."""

    def __init__(self, folder, influxd):
        self.root = folder / "root"
        (self.root / "etc" / "default").mkdir(parents=True)
        for name in ("datasources", "dashboards"):
            (self.root / "etc" / "grafana" / "provisioning" / name).mkdir(parents=True)
        theirs = self.root / "etc" / "grafana" / "provisioning" / "dashboards" / "theirs.yaml"
        theirs.write_text("apiVersion: 1\nproviders: []\n", encoding="utf-8")
        self.telegraf = Telegraf(self.root / "etc", main=THEIRS.format(url=influxd.url))
        self.home = folder / "home"
        self.home.mkdir()
        for name in ("telegraf.conf.d", "dashboards"):
            (self.home / name).symlink_to(ROOT / name)
        tools = folder / "tools"
        tools.mkdir()
        for name, text in (("sudo", SUDO), ("systemctl", SYSTEMCTL), ("systemd-run", SYSTEMD_RUN)):
            (tools / name).write_text(text.format(python=sys.executable, root=self.root), encoding="utf-8")
            (tools / name).chmod(0o755)
        path = f"{tools}:{Path(need('telegraf')).parent}:{os.environ['PATH']}"
        constraints = str(ROOT / "constraints.txt")
        self.environ = {**os.environ, "PATH": path, "PIP_CONSTRAINT": constraints, "PIP_QUIET": "1"}

    def run(self, command):
        """Run one line of a document."""
        line = command.replace("'.[", f"'{ROOT}[")
        done = subprocess.run(
            ["bash", "-euc", line],
            cwd=self.home,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def started(self):
        """Return what systemctl was told so far."""
        file = self.root / "started"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    @contextlib.contextmanager
    def service(self, unit):
        """Run the command of a systemd unit with the environment that it names, as systemd would."""
        lines = Path(unit).read_text(encoding="utf-8").splitlines()
        said = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        file = self.root / said["EnvironmentFile"].removeprefix("-/")
        state = self.root / "var" / "lib" / said["StateDirectory"]
        state.mkdir(parents=True)
        environ = {**variables_of(file), "PATH": os.environ["PATH"], "STATE_DIRECTORY": str(state)}
        command = shlex.split(f"{self.root}{said['ExecStart']}")
        with (self.root / "service.log").open("wb") as log:
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)

    def tell_annotator(self, port, influxd):
        """Write its environment as the document has it, with this test's port and InfluxDB."""
        annotator = blocks(TELEGRAF, "## Six commands")[1]
        theirs = ["ENERGY_INFLUX_URL=http://127.0.0.1:8086"]
        assert theirs[0] in annotator
        lines = [line for line in annotator if line not in theirs]
        lines += [f"ENERGY_INFLUX_URL={influxd.url}", f"ENERGY_ANNOTATOR_PORT={port}"]
        (self.root / "etc/default/energy-annotator").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def edit(self, influxd):
        """Do what the document tells between commands: a line for the other output, and the environment."""
        main = self.telegraf.main
        text = main.read_text(encoding="utf-8")
        assert NAMEDROP in "".join(itertools.chain(*blocks(TELEGRAF, "## Six commands")))
        main.write_text(text.replace('database = "theirs"', f'database = "theirs"\n  {NAMEDROP}'))
        moved = {
            "ENERGY_EXECD": self.root / "opt/energyrecorder/bin/energy-execd",
            "ENERGY_FLEET": self.root / "etc/energyrecorder/fleet.toml",
            "ENERGY_STATE_DIR": self.root / "var/lib/energyrecorder-telegraf",
        }
        variables = {"BMC_PASSWORD": PASSWORD, "ENERGY_INFLUX_URL": influxd.url, **moved}
        lines = ["# Secrets of energyrecorder", *(f"{name}={value}" for name, value in variables.items())]
        (self.root / "etc/default/telegraf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.telegraf.environ = {**os.environ, **{name: str(value) for name, value in variables.items()}}


def variables_of(file):
    """Return the variables of an environment file."""
    return dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines())


def test_there_are_eight_commands():
    commands, *_ = blocks(TELEGRAF, "## Six commands")
    grafana, _ = blocks(GRAFANA, "## Two commands")
    assert len(commands + grafana) == MOST_COMMANDS
    assert not any(mark in line for line in commands + grafana for mark in ("&&", ";", "|"))


def test_an_existing_installation_shows_steps_on_curves_within_ten_minutes(tmp_path, influxd_of_its_own):
    """Readings of three BMCs and a step are in the dashboards' queries; what was there is as it was."""
    influxd = influxd_of_its_own
    commands, _, _, look, [first_step] = blocks(TELEGRAF, "## Six commands")
    copy, variables = blocks(GRAFANA, "## Two commands")
    machine = Machine(tmp_path, influxd)
    port = free_port()
    with three_bmcs(machine.home):
        fleet = machine.home / "fleet.toml"
        # As energy-execd init writes it.
        fleet.write_text(fleet.read_text().replace('env = "lab"', f'env = "{ENV}"'), encoding="utf-8")
        machine.tell_annotator(port, influxd)
        for command in commands:
            machine.run(command)
        machine.edit(influxd)
        shown = [machine.run(command) for command in look]
        assert all(server in shown[-1] for server in PROTOCOLS), shown
        for command in copy:
            machine.run(command)
        enabled, restarted = machine.started()
        assert restarted == "restart telegraf grafana-server"
        with machine.service(enabled.removeprefix("enable --now ")), machine.telegraf as telegraf:
            telegraf.until(lambda: ["energyrecorder"] in names_of_databases(influxd), 120)
            telegraf.until(lambda: set(PROTOCOLS) <= servers(influxd), 120)
            telegraf.until(lambda: "cpu" in names(influxd, "SHOW MEASUREMENTS", "theirs"), 120)
            machine.environ["ENERGY_URL"] = f"http://127.0.0.1:{port}"
            machine.run(first_step.replace(" /opt/", f" {machine.root}/opt/").replace("sleep 60", "sleep 8"))
            result = telegraf.until(lambda: result_of_first_step(influxd), 120)
            assert result["servers"] == len(PROTOCOLS), result
            # A machine that stalled may have left a gap.
            assert result["quality"] in MEASURABLE or result["coverage"] < WHOLE, result
            assert_dashboards_find_it(machine, influxd, variables)
            assert_doctor_looks_at_influxdb(machine)
    assert names(influxd, "SHOW MEASUREMENTS", "theirs") == {"cpu"}


def assert_doctor_looks_at_influxdb(machine):
    """With the variables of the service, which has no file of settings."""
    [command] = blocks(TELEGRAF, "## When something is wrong")[0]
    assert "ok   InfluxDB, writing: allowed" in machine.run(command).splitlines()


def result_of_first_step(influxd):
    """Return the point of the first step as soon as it has its result."""
    query = "SELECT * FROM energy_steps WHERE level = 'step' AND state = 'passed' AND quality != 'pending'"
    for series in influxd.query(query, "energyrecorder"):
        return dict(zip(series["columns"], series["values"][0], strict=True))
    return None


def names_of_databases(influxd):
    return influxd.query("SHOW DATABASES")[0].get("values", [])


def servers(influxd):
    found = influxd.query('SHOW TAG VALUES FROM "server_power" WITH KEY = "server"', "energyrecorder")
    return {row[1] for series in found for row in series["values"]}


def assert_dashboards_find_it(machine, influxd, variables):
    """The files are where the variables of the document say, and panels have figures."""
    known = dict(line.split("=", 1) for line in variables)
    provisioning = machine.root / "etc" / "grafana" / "provisioning"
    assert (provisioning / "dashboards" / "theirs.yaml").is_file()
    for path in (
        provisioning / "datasources" / "energy-influxdb.yaml",
        provisioning / "dashboards" / "energy.yaml",
    ):
        text = path.read_text(encoding="utf-8")
        for name, value in known.items():
            text = text.replace(f"${{{name}}}", value)
        assert "${" not in text, path
        parsed = yaml.safe_load(text)
    folder = Path(f"{machine.root}{parsed['providers'][0]['options']['path']}")
    assert {path.stem for path in folder.glob("*.json")} == set(dashboards())
    board = dashboards()["energy-live"]
    now = time.time_ns() // 10**6
    found = {where: query for where, _, query in queries(board) if where in SHOWN}
    assert set(found) == set(SHOWN)
    for where, query in found.items():
        asked = interpolated(query, board, now - 3_600_000, now)
        assert influxd.query(asked, known["ENERGY_INFLUX_DB"]), where
