"""A BMC changes what it shows while it is polled: one series goes on, and at most one poll is lost."""

from __future__ import annotations

import itertools
import json
import urllib.request

import pytest

from execd.waiting import wait_until
from support.bmcsim import FLEET, serving
from support.execd import write_fleet
from support.running import Run

ROOT = "/redfish/v1"
OLD, NEW, TWICE = 302.0, 300.0, 304.0


def _ref(path):
    return {"@odata.id": path}


def _bmc(chassis, bodies):
    """Return the documents of a BMC with one computer, in chassis of these ids with these resources."""
    documents = {
        ROOT: {"Chassis": _ref(f"{ROOT}/Chassis"), "Systems": _ref(f"{ROOT}/Systems")},
        f"{ROOT}/Chassis": {"Members": [_ref(f"{ROOT}/Chassis/{name}") for name in chassis]},
        f"{ROOT}/Systems": {"Members": [_ref(f"{ROOT}/Systems/1")]},
        f"{ROOT}/Systems/1": {"Id": "1", "SystemType": "Physical", "PowerState": "On"},
    }
    for name in chassis:
        path = f"{ROOT}/Chassis/{name}"
        links = {"ComputerSystems": [_ref(f"{ROOT}/Systems/1")]}
        documents[path] = {"Id": name, "ChassisType": "RackMount", "Links": links}
        for resource, body in bodies.items():
            documents[path][resource] = _ref(f"{path}/{resource}")
            documents[f"{path}/{resource}"] = body
    return documents


PAYLOADS = {
    "old.json": _bmc(["1"], {"Power": {"PowerControl": [{"PowerConsumedWatts": OLD}]}}),
    "new.json": _bmc(["1"], {"EnvironmentMetrics": {"PowerWatts": {"Reading": NEW}}}),
    "twice.json": _bmc(["Self", "self"], {"Power": {"PowerControl": [{"PowerConsumedWatts": TWICE}]}}),
}


def _switch(sim, payload):
    body = {"server": "a", "kind": "payload_switch", "payload": str(payload)}
    request = urllib.request.Request(
        sim.listing["control"] + "/fault",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)


@pytest.mark.e2e
def test_another_model_and_a_second_id_of_a_chassis_go_on_in_one_series(tmp_path):
    """From Power to EnvironmentMetrics, then to a chassis of another name under two ids: never their sum."""
    for name, documents in PAYLOADS.items():
        (tmp_path / name).write_text(json.dumps(documents), encoding="utf-8")
    spec = tmp_path / "sim.toml"
    bmc = '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "old.json"\n'
    spec.write_text(FLEET + bmc, encoding="utf-8")
    with serving(spec) as sim:
        servers = {"a": {"protocol": "redfish", "interval": "1s"}}
        run = Run(write_fleet(tmp_path, sim, servers), tmp_path / "state")
        try:
            for watts, payload in ((OLD, "new.json"), (NEW, "twice.json"), (TWICE, None)):
                wait_until(lambda watts=watts: _watts(run).count(watts) >= 3, 60)
                if payload is not None:
                    _switch(sim, tmp_path / payload)
            assert run.end() == 0
        finally:
            run.close()
    power = [point for point in run.points if point["measurement"] == "server_power"]
    assert {tuple(sorted(point["tags"].items())) for point in power} == {
        (("env", "lab"), ("scope", "server"), ("server", "a"))
    }
    assert set(_watts(run)) == {OLD, NEW, TWICE}
    told = [error for error, _ in itertools.groupby(fields["error"] for _, fields in run.of("a"))]
    # A poll in the midst of a change may be lost; nothing else is said, and nothing of what is well.
    assert set(told) <= {"", "no_reading"}
    assert len(told) <= 5
    assert len([line for line in run.log if "'a'" in line]) == len(told) - 1, run.log


def _watts(run):
    return [fields["watts"] for _, fields in run.of("a", "server_power")]
