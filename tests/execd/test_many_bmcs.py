"""1,200 Redfish and 10 IPMI BMCs in one process of the collector, the BMCs in another."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from line_protocol_parser import parse_line

from execd.waiting import wait_until
from support.bmcsim import FLEET, PASSWORD, serving
from support.execd import write_fleet

REDFISH, IPMI = 1200, 10
LAST_OF_SELECT = 1023
DELL = 'protocol = "redfish"\npayload = "dell-r640-idrac9"\npower = { constant_w = 300.0 }\n'
BMC = 'protocol = "ipmi"\npower = { constant_w = 216.0 }\n'
WITHIN_S = 300.0


@pytest.fixture
def files():
    """Let the processes of the test open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 3 * REDFISH
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class _Collector:
    """A `run` over a fleet file, and how often it has read each server."""

    def __init__(self, fleet, state):
        self.polls = {}
        command = [sys.executable, "-m", "energyrecorder_execd", "run", "--fleet", fleet, "--state", state]
        with Path(state, "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "BMC_PASSWORD": PASSWORD},
            )  # fmt: skip
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def highest_file(self):
        return max(int(name) for name in os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208  # numbers

    def end(self):
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self.process.kill()
        self.process.wait()
        self._thread.join(10)
        self.process.stdout.close()

    def _collect(self):
        for line in self.process.stdout:
            point = parse_line(line)
            if point["measurement"] == "server_bmc" and point["fields"]["up"]:
                name = point["tags"]["server"]
                self.polls[name] = self.polls.get(name, 0) + 1


@pytest.mark.e2e
@pytest.mark.usefixtures("files")
def test_1200_redfish_and_10_ipmi_bmcs_in_one_process(tmp_path):
    """All are read, by both IPMI transports, and again when files are open beyond what `select()` takes."""
    redfish = [f"r{number:04}" for number in range(REDFISH)]
    ipmi = {f"i{number}": ("lanplus", "pyghmi")[number % 2] for number in range(IPMI)}
    spec = tmp_path / "sim.toml"
    tables = [f'[[bmc]]\nid = "{name}"\n{DELL}' for name in redfish]
    tables += [f'[[bmc]]\nid = "{name}"\n{BMC}' for name in ipmi]
    spec.write_text(FLEET + "".join(tables), encoding="utf-8")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with serving(spec) as sim:
        servers = {name: {"protocol": "redfish", "interval": "30s"} for name in redfish}
        servers |= {
            name: {"protocol": "ipmi", "interval": "5s", "transport": transport}
            for name, transport in ipmi.items()
        }
        collector = _Collector(str(write_fleet(tmp_path, sim, servers)), str(state))
        try:
            wait_until(lambda: len(collector.polls) == REDFISH + IPMI, WITHIN_S)
            assert collector.highest_file() > LAST_OF_SELECT
            seen = dict(collector.polls)
            wait_until(lambda: all(collector.polls[name] > seen[name] + 1 for name in ipmi), WITHIN_S)
        finally:
            collector.end()
