"""`debug = true` shows a server's traffic and none of its secrets."""

from __future__ import annotations

import base64

from support.bmcsim import FLEET, PASSWORD, USER, serving
from support.execd import once, write_fleet

DELL = 'protocol = "redfish"\npayload = "dell-r640-idrac9"\n'


def test_the_traffic_of_one_server_is_logged_without_secrets(tmp_path):
    """Each request with status, size, time and body; neither password nor token, in any form."""
    spec = tmp_path / "sim.toml"
    echo = {"a": "", "basic": 'auth = "basic"\n', "quiet": ""}
    spec.write_text(
        FLEET + "".join(f'[[bmc]]\nid = "{name}"\n{DELL}{more}' for name, more in echo.items()),
        encoding="utf-8",
    )
    with serving(spec) as sim:
        servers = {
            "a": {"protocol": "redfish", "debug": True},
            "basic": {"protocol": "redfish", "debug": True},
            "quiet": {"protocol": "redfish"},
        }
        done = once(write_fleet(tmp_path, sim, servers), tmp_path / "state")
    lines = done.stderr.splitlines()
    assert any("I! a: POST /redfish/v1/SessionService/Sessions -> 201" in line for line in lines)
    power = [line for line in lines if "I! a: GET /redfish/v1/Chassis/System.Embedded.1/Power -> 200" in line]
    assert "PowerConsumedWatts" in power[0]
    assert any(line.startswith("I! basic: GET ") for line in lines)
    assert not any("quiet" in line for line in lines)
    assert PASSWORD not in done.stderr
    assert base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode() not in done.stderr
    assert "X-Auth-Token" not in done.stderr
