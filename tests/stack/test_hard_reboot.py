"""A hard reboot in the middle of a step: real zeros while the host is off, and marks at both its ends."""

from __future__ import annotations

import sys
import time

from support import annotator
from support.bmcsim import FLEET, PASSWORD, serving
from support.execd import write_fleet
from support.stack import order_control

BMC = """
[[bmc]]
id = "n1"
protocol = "redfish"
scheme = "http"
payload = "dell-r640-idrac9"
power = { constant_w = 212.0 }
sensor = { refresh_s = 0.5, window_s = 0.5 }
"""
OFF_S = 6


def test_a_hard_reboot_in_the_middle_of_a_step(tmp_path):
    """Simulated BMC, collector and annotator: what a user sees of it in the run."""
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + BMC, encoding="utf-8")
    with serving(spec) as sim:
        fleet = write_fleet(tmp_path, sim, {"n1": {"protocol": "redfish", "interval": "1s"}})
        command = (sys.executable, "-m", "energyrecorder_execd", "run", "--fleet", fleet, "--state", tmp_path)
        environ = {"BMC_PASSWORD": PASSWORD}
        with annotator.running(tmp_path, commands=[command], environ=environ) as service:
            client = service.client()
            begun_ns = time.time_ns()

            def watts():
                window = f"from={begun_ns}&to={time.time_ns()}"
                series = client.get(f"/v1/power?env=lab&server=n1&{window}")["series"]
                return [least_w for one in series for _, _, least_w, _ in one["points"]]

            def marks():
                page = client.ask("GET", f"/v1/runs/{run_id}/report.html")[2].decode()
                return page.find("n1: power off"), page.rfind("n1: power on")

            service.until(lambda: 212.0 in watts())
            run_id = annotator.new_id()
            client.post("/v1/steps", {"step_id": run_id, "env": "lab", "scenario": "reboot"})
            order_control(sim, "/reboot", {"server": "n1", "off_s": OFF_S, "standby_w": 0})
            service.until(lambda: 0.0 in watts())
            service.until(lambda: watts()[-1] == 212.0)
            service.until(lambda: 0 < marks()[0] < marks()[1])
            # Nothing between running and off but the edges, which the sensor's own window blurs.
            assert sum(0.0 < least_w < 212.0 for least_w in watts()) <= 2
