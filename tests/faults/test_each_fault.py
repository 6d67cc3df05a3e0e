"""What comes out of `energy-execd once` on stdout, on stderr and in `server_bmc` under each HTTP fault."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from energyrecorder_bmcsim import faults
from support.bmcsim import FLEET, serving
from support.execd import once, points_by_server, write_fleet

TIMEOUT_S = 6
LATE = rf"no answer within {TIMEOUT_S} s: GET /redfish/v1/ of 127\.0\.0\.1:\d+"
SHIPPED_W = 429.0
"""Of the payload dell-r640-idrac9 as captured."""

ROOT = {"Chassis": {"@odata.id": "/redfish/v1/Chassis"}, "Systems": {"@odata.id": "/redfish/v1/Systems"}}


def _chassis(name):
    path = f"/redfish/v1/Chassis/{name}"
    computer = {"@odata.id": "/redfish/v1/Systems/1"}
    return {
        "Id": name,
        "ChassisType": "RackMount",
        "Power": {"@odata.id": f"{path}/Power"},
        "Links": {"ComputerSystems": [computer]},
    }


TWICE = {
    "/redfish/v1": ROOT,
    "/redfish/v1/Chassis": {
        "Members": [
            {"@odata.id": "/redfish/v1/Chassis/enclosurechassis"},
            {"@odata.id": "/redfish/v1/Chassis/EnclosureChassis"},
        ]
    },
    "/redfish/v1/Chassis/enclosurechassis": _chassis("enclosurechassis"),
    "/redfish/v1/Chassis/EnclosureChassis": _chassis("EnclosureChassis"),
    "/redfish/v1/Chassis/enclosurechassis/Power": {"PowerControl": [{"PowerConsumedWatts": 302}]},
    "/redfish/v1/Chassis/EnclosureChassis/Power": {"PowerControl": [{"PowerConsumedWatts": 302}]},
    "/redfish/v1/Systems": {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]},
    "/redfish/v1/Systems/1": {"Id": "1", "SystemType": "Physical", "PowerState": "On"},
}


@dataclass(frozen=True)
class Case:
    """One BMC and what must come out.

    Args:
        error: In `server_bmc`; empty means that the BMC is up.
        log: Pattern of what standard error says of the server; empty: nothing.
        fault: As the simulator's spec file has it.
        bmc: Further lines of the spec file.
        server: Further keys of the fleet file.
        watts: On standard output; None: no `server_power` line.
    """

    error: str
    log: str = ""
    fault: str = ""
    bmc: str = 'protocol = "redfish"\npayload = "dell-r640-idrac9"'
    server: dict[str, Any] = field(default_factory=dict)
    watts: float | None = None

    def spec(self, name):
        listed = f"faults = [{self.fault}]\n" if self.fault else ""
        return f'[[bmc]]\nid = "{name}"\n{self.bmc}\n{listed}'


DELL = 'protocol = "redfish"\npayload = "dell-r640-idrac9"\n'
LIVE = DELL + "power = { constant_w = 300 }"
ILO = 'protocol = "ilo5"\npower = { constant_w = 321 }'

CASES = {
    "healthy": Case("", watts=SHIPPED_W),
    "slow": Case("timeout", rf"{LATE}: waiting for the answer$", "{ kind = 'slow', delay_s = 60 }"),
    "slow-log-in": Case(
        "timeout", r"the log-in goes on$", "{ kind = 'slow', delay_s = 60, path = '*Sessions' }"
    ),
    # Each answer is in time, all that looking around needs are not: 1.5 s each.
    "slow-answers": Case("", fault="{ kind = 'slow', delay_s = 1.5 }", watts=SHIPPED_W),
    "drip": Case("timeout", rf"{LATE}: inside the answer$", "{ kind = 'drip', bytes_per_s = 40 }"),
    "busy": Case("busy", r"HTTP 503, it asks to wait 5 s$", "{ kind = 'busy' }"),
    "busy-text": Case("busy", r"HTTP 503, it asks to wait 5 s$", "{ kind = 'busy', said_in = 'text' }"),
    "expiry": Case("", fault="{ kind = 'session_expiry', calls = 2, count = 1 }", watts=SHIPPED_W),
    "limit-503": Case("", "session table is full", "{ kind = 'session_limit' }", watts=SHIPPED_W),
    "limit-400": Case(
        "", "session table is full", "{ kind = 'session_limit', status = 400 }", watts=SHIPPED_W
    ),
    "basic-only": Case("", "does not offer sessions", bmc=DELL + 'auth = "basic"', watts=SHIPPED_W),
    "unauthorized": Case("auth", r"refused the log-in of 'monitor'", "{ kind = 'unauthorized' }"),
    "reset": Case("unreachable", r"connection broke", "{ kind = 'reset_mid_body' }"),
    "close": Case("unreachable", r"connection broke", "{ kind = 'close_mid_body' }"),
    "truncated": Case(
        "data", r"/redfish/v1\S*: the body is not JSON \(.* of \d+\)", "{ kind = 'truncated_json' }"
    ),
    "comma": Case("data", r"/redfish/v1\S*: the body is not JSON", "{ kind = 'trailing_comma' }"),
    "html": Case("data", r"/redfish/v1\S*: the body is not JSON.*DOCTYPE", "{ kind = 'html' }"),
    "two-objects": Case("", fault="{ kind = 'two_objects' }", watts=SHIPPED_W),
    "tls-stall": Case("timeout", rf"{LATE}: no connection yet$", "{ kind = 'tls_stall' }"),
    "refuse": Case("unreachable", r"Connection refused", "{ kind = 'refuse' }"),
    "self-signed": Case("tls", r"self.signed.*energy-execd pin$", bmc=DELL + 'certificate = "self-signed"'),
    "expired": Case("tls", r"expired.*energy-execd pin$", bmc=DELL + 'certificate = "expired"'),
    "wrong-host": Case("tls", r"mismatch.*energy-execd pin$", bmc=DELL + 'certificate = "wrong-host"'),
    "weak-key": Case("tls", r"key too weak.*energy-execd pin$", bmc=DELL + 'certificate = "weak-key"'),
    "weak-key-tofu": Case(
        "",
        r"trusting its certificate",
        bmc=DELL + 'certificate = "weak-key"',
        server={"tls": "tofu"},
        watts=SHIPPED_W,
    ),
    "changed": Case(
        "tls",
        rf"certificate changed from sha256:{'ab' * 32} to sha256:[0-9a-f]{{64}}.*energy-execd pin$",
        server={"tls": "pin:sha256:" + "ab" * 32},
    ),
    "off": Case("", r"tls = 'off': its certificate is not checked", server={"tls": "off"}, watts=SHIPPED_W),
    "tofu": Case("", r"trusting its certificate", server={"tls": "tofu"}, watts=SHIPPED_W),
    "old-tls": Case("tls", r"legacy_tls = true allows that", bmc=DELL + "old_tls = true"),
    "old-tls-allowed": Case("", bmc=DELL + "old_tls = true", server={"legacy_tls": True}, watts=SHIPPED_W),
    "old-tls-tofu": Case(
        "",
        r"trusting its certificate",
        bmc=DELL + "old_tls = true",
        server={"legacy_tls": True, "tls": "tofu"},
        watts=SHIPPED_W,
    ),
    "old-tls-changed": Case(
        "tls",
        rf"certificate changed from sha256:{'ab' * 32} to sha256:[0-9a-f]{{64}}.*energy-execd pin$",
        bmc=DELL + "old_tls = true",
        server={"legacy_tls": True, "tls": "pin:sha256:" + "ab" * 32},
    ),
    "null": Case("no_reading", r"while the host is on", "{ kind = 'null' }", bmc=LIVE),
    "zero": Case("no_reading", r"0 W while the host is on", "{ kind = 'zero' }", bmc=LIVE),
    "stale": Case("", fault="{ kind = 'stale' }", bmc=LIVE, watts=300.0),
    "clock-ahead": Case("", fault="{ kind = 'clock_skew', skew_s = 3600 }", bmc=ILO, watts=321.0),
    "clock-1970": Case("", fault="{ kind = 'clock_skew', skew_s = -1700000000 }", bmc=ILO, watts=321.0),
    "slashes": Case("", fault="{ kind = 'redirect_slash' }", watts=SHIPPED_W),
    "slashes-301": Case("", fault="{ kind = 'redirect_slash', status = 301 }", watts=SHIPPED_W),
    "case": Case("", fault="{ kind = 'redirect_case' }", watts=SHIPPED_W),
    "missing": Case("unsupported", r"no resource with the power", "{ kind = 'missing', path = '*/Power' }"),
    "missing-ilo": Case(
        "unsupported", r"no FastPowerMeter", "{ kind = 'missing', path = '*Power*' }", bmc=ILO
    ),
    "missing-all": Case("unsupported", r"no Redfish service here", "{ kind = 'missing' }"),
    "elsewhere": Case("protocol", r"redirect to .* not followed", "{ kind = 'redirect_away' }"),
    "other-schema": Case("", fault="{ kind = 'payload_switch', payload = 'dell-r750-idrac9' }", watts=614.0),
    "twice": Case("", bmc='protocol = "redfish"\npayload = "twice.json"', watts=302.0),
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """One sweep over all BMCs; returns points per server, the log, and when it began and ended (ns)."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "twice.json").write_text(json.dumps(TWICE), encoding="utf-8")
    spec = folder / "sim.toml"
    spec.write_text(FLEET + "".join(case.spec(name) for name, case in CASES.items()), encoding="utf-8")
    with serving(spec) as sim:
        servers = {
            name: {
                "timeout": f"{TIMEOUT_S}s",
                "protocol": "ilo" if case.bmc == ILO else "redfish",
                **case.server,
            }
            for name, case in CASES.items()
        }
        fleet = write_fleet(folder, sim, servers)
        began_ns = time.time_ns()
        done = once(fleet, folder / "state")
        ended_ns = time.time_ns()
    assert done.returncode == 3, done.stderr
    return points_by_server(done.stdout), done.stderr, (began_ns, ended_ns)


@pytest.mark.parametrize("name", CASES)
def test_a_fault_shows_its_reason_and_no_wrong_value(outcome, name):
    """`server_bmc` has the reason, stdout the value or none, stderr one warning that says why."""
    case = CASES[name]
    points, log, (began_ns, ended_ns) = outcome
    bmc = [point for point in points[name] if point["measurement"] == "server_bmc"]
    power = [point for point in points[name] if point["measurement"] == "server_power"]
    assert len(bmc) == 1
    assert bmc[0]["fields"]["error"] == case.error, log
    assert bmc[0]["fields"]["up"] == int(not case.error)
    # A poll that failed was a load too; the attempt to connect counts.
    assert bmc[0]["fields"]["requests"] >= 1
    totals = [point for point in power if point["tags"]["scope"] == "server"]
    if case.watts is None:
        assert power == []
    else:
        # An iLO gives each record it still has; else one poll is one value.
        assert {point["fields"]["watts"] for point in totals} == {case.watts}
        assert len(totals) == 1 or "ilo" in case.bmc
        newest_ns = max(point["time"] for point in totals)
        assert began_ns - 15 * 10**9 < newest_ns < ended_ns + 3 * 10**9


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_told_once_in_one_line(outcome, name):
    """A reason of the table, no traceback; nothing at all of a BMC that is well."""
    case = CASES[name]
    _, log, _ = outcome
    said = [line for line in log.splitlines() if f"server '{name}' " in line or f"! {name}: " in line]
    if not case.log:
        assert said == []
    elif case.error:
        assert len(said) == 1
        assert re.match(rf"W! server '{name}' \(127\.0\.0\.1:\d+\): {case.error}: ", said[0]), said
        assert re.search(case.log, said[0]), said
    else:
        assert re.search(case.log, log)
    assert "Traceback" not in log


def test_every_kind_of_fault_stands_in_the_table():
    """No fault of the simulator is without a word on what the collector makes of it."""
    used = set(re.findall(r"kind = '(\w+)'", " ".join(case.fault for case in CASES.values())))
    assert used == set(faults.KINDS)
