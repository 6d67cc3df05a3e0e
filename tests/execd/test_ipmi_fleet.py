"""`energy-execd once` over a fleet of IPMI BMCs of all kinds, one of them dead."""

from __future__ import annotations

import socket

import pytest

from support import ipmi_sim
from support.bmcsim import FLEET, PASSWORD, USER, serving
from support.execd import once, points_by_server, table

BMCS = [
    {"id": "suite-3", "power": {"constant_w": 203.0}, "suites": [3]},
    {"id": "suite-17", "power": {"constant_w": 217.0}, "suites": [17]},
    {"id": "board", "power": {"constant_w": 300.0}, "dcmi": False, "sdr": False,
     "bridged": [{"address": 0x82, "share": 0.5,
                  "bridged": [{"address": 0x72, "channel": 7, "share": 0.25}]}]},
]  # fmt: skip


@pytest.fixture
def no_answer():
    """Return a UDP port on which nobody answers, and nobody will while the test runs."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


def _fleet(servers):
    text = table("[defaults]", {"env": "lab", "credentials": "lab", "timeout": "6s", "protocol": "ipmi"})
    text += table("[credentials.lab]", {"user": USER, "password": "{env=BMC_PASSWORD}"})
    text += table("[credentials.open]", {"user": ipmi_sim.USER, "password": ipmi_sim.PASSWORD})
    return text + "".join(table("[[server]]", {"host": "127.0.0.1", **server}) for server in servers)


@pytest.mark.parametrize("transport", ["lanplus", "pyghmi"])
def test_a_mixed_fleet_with_a_dead_bmc(tmp_path, no_answer, transport):
    """OpenIPMI's simulator, both suites, satellites and a dead BMC: what lives is read, exit code 3."""
    openipmi = ipmi_sim.IpmiSim(tmp_path, watts=640)
    openipmi.start()
    try:
        spec = tmp_path / "sim.toml"
        bmcs = [{"protocol": "ipmi", **bmc} for bmc in BMCS]
        spec.write_text(FLEET + "".join(table("[[bmc]]", bmc) for bmc in bmcs), encoding="utf-8")
        with serving(spec) as sim:
            fleet = tmp_path / "fleet.toml"
            servers = [
                {"id": "openipmi", "port": openipmi.port, "credentials": "open"},
                {"id": "suite-3", "port": sim.bmc("suite-3")["port"]},
                {"id": "suite-17", "port": sim.bmc("suite-17")["port"]},
                {"id": "satellite", "port": sim.bmc("board")["port"], "bridge": "0x82"},
                {"id": "module", "port": sim.bmc("board")["port"], "bridge": "0x82:7/0x72"},
                {"id": "dead", "port": no_answer},
            ]
            fleet.write_text(_fleet([{"transport": transport, **server} for server in servers]))
            done = once(fleet, tmp_path / "energy")
    finally:
        openipmi.stop()
    assert done.returncode == 3, done.stderr
    points = points_by_server(done.stdout)
    watts = {
        server: point["fields"]["watts"]
        for server, found in points.items()
        for point in found
        if point["measurement"] == "server_power"
    }
    expected = {"openipmi": 640.0, "suite-3": 203.0, "suite-17": 217.0, "satellite": 150.0}
    if transport == "lanplus":
        expected["module"] = 75.0
    else:
        assert [point["fields"]["error"] for point in points["module"]] == ["unsupported"]
    assert watts == expected
    (dead,) = points["dead"]
    assert (dead["measurement"], dead["fields"]["up"], dead["fields"]["error"]) == (
        "server_bmc",
        0,
        "timeout",
    )
    assert PASSWORD not in done.stderr
