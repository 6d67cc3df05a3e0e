"""One resource of a BMC never answers: the others are read nevertheless."""

from __future__ import annotations

import pytest

from execd.waiting import wait_until
from support.bmcsim import FLEET, serving
from support.execd import write_fleet
from support.running import Run

BMC = """
[[bmc]]
id = "a"
protocol = "redfish"
payload = "dell-r750-idrac9"
faults = [{ kind = "slow", delay_s = 600, path = "*/Managers/*" }]
"""


@pytest.mark.e2e
def test_a_resource_that_never_answers_hides_no_power(tmp_path):
    """Two polls are lost on it at most, told as what they are; then each has its value."""
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + BMC, encoding="utf-8")
    with serving(spec) as sim:
        servers = {"a": {"protocol": "redfish", "interval": "1s", "timeout": "3s"}}
        run = Run(write_fleet(tmp_path, sim, servers), tmp_path / "state")
        try:
            wait_until(lambda: len(run.of("a", "server_power")) >= 5, 120)
            assert run.end() == 0
        finally:
            run.close()
    assert {fields["watts"] for _, fields in run.of("a", "server_power")} == {614.0}
    first = next(i for i, (_, fields) in enumerate(run.of("a")) if fields["up"])
    assert {fields["error"] for _, fields in run.of("a")[:first]} <= {"timeout"}
    assert {fields["error"] for _, fields in run.of("a")[first:]} == {""}
    assert [line for line in run.log if "Managers" in line and "timeout" in line], run.log
