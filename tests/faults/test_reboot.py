"""A BMC restarts: gone, then without its power resource, its clock in 1970 until it has learned the time."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request

import pytest

from execd.waiting import wait_until
from support.bmcsim import FLEET, serving
from support.execd import write_fleet
from support.running import Run

BMCS = """
[[bmc]]
id = "dell"
protocol = "redfish"
payload = "dell-r640-idrac9"
power = { constant_w = 300 }
[[bmc]]
id = "ilo"
protocol = "ilo5"
power = { formula = "300 + 50*sin(t/40)" }
"""
GONE_S, STARTING_S, FORGOT_TIME_S = 22.0, 3.0, 12.0
RECORD_S = 10.0


def _fault(sim, **body):
    request = urllib.request.Request(
        sim.listing["control"] + "/fault",
        data=json.dumps({"server": "*", **body}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def _restart(sim):
    """Order all that a restart does, one after the other."""
    _fault(sim, kind="refuse", for_s=GONE_S)
    _fault(sim, kind="missing", at_s=GONE_S, for_s=STARTING_S, path="*Power*")
    wrong_s = GONE_S + STARTING_S + FORGOT_TIME_S
    _fault(sim, kind="clock_skew", for_s=wrong_s, skew_s=86400.0 - int(time.time()))


@pytest.mark.e2e
def test_a_bmc_that_restarts_is_read_again_without_a_hole_in_its_records(tmp_path):
    """The collector is not restarted; each reason is told; no value is from 1970; records come out once."""
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + BMCS, encoding="utf-8")
    with serving(spec) as sim:
        servers = {
            name: {"protocol": protocol, "interval": "1s", "timeout": "5s"}
            for name, protocol in (("dell", "redfish"), ("ilo", "ilo"))
        }
        run = Run(write_fleet(tmp_path, sim, servers), tmp_path / "state")
        try:
            wait_until(lambda: len(run.of("ilo", "server_power")) >= 2 and len(run.of("dell")) >= 5)
            began_ns = time.time_ns()
            _restart(sim)
            time.sleep(GONE_S + STARTING_S + FORGOT_TIME_S + 15)
            assert run.end() == 0
        finally:
            run.close()
    for name in servers:
        told = [error for error, _ in itertools.groupby(fields["error"] for _, fields in run.of(name))]
        assert (told[:2], told[-1]) == (["", "unreachable"], ""), run.log
        # One line per change of state, the way back included.
        assert len([line for line in run.log if f"'{name}'" in line]) == len(told) - 1
    records = [at for at, fields in run.of("ilo", "server_power") if fields["clock"] == "bmc"]
    # The iLO's clock is known to a second.
    apart_s = [(later - earlier) / 1e9 for earlier, later in itertools.pairwise(records)]
    assert all(RECORD_S - 2 <= apart <= RECORD_S + 2 for apart in apart_s), apart_s
    assert records[-1] > began_ns + (GONE_S + STARTING_S + FORGOT_TIME_S - 5) * 1e9
    assert {fields["watts"] for _, fields in run.of("dell", "server_power")} == {300.0}
    assert all(at > began_ns - 60 * 10**9 for at, _ in run.of("dell") + run.of("dell", "server_power"))
