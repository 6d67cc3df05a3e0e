"""What a BMC serves: captured payloads as they are, live values on top, host state, the corpus."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from energyrecorder_bmcsim.faults import FaultPlan
from energyrecorder_bmcsim.live import LiveBmc
from energyrecorder_bmcsim.payload import LivePointer, Payload, load_payload, resolve_pointer
from energyrecorder_bmcsim.power import NS_PER_S, PowerTimeline, Steps
from energyrecorder_bmcsim.redfish.resources import live_resources
from energyrecorder_bmcsim.sensor import Sensor, SensorModel
from support.bmcsim import basic, simulated

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
START_NS = 1_800_000_000 * NS_PER_S
PATH = "/redfish/v1/Chassis/1/Power"


def at(second):
    return START_NS + round(second * NS_PER_S)


def live_bmc(**model):
    timeline = PowerTimeline(Steps([0, 60], [200, 400]), start_ns=START_NS)
    sensor = Sensor(SensorModel(**model), timeline, start_ns=START_NS, phase_s=0)
    return LiveBmc(timeline, sensor, FaultPlan(), start_ns=START_NS)


@pytest.mark.parametrize(
    ("value", "more", "second", "shown"),
    [
        ("power", {}, 61, 400),
        ("power", {"factor": 0.25}, 61, 100),
        ("average", {"over_s": 60}, 90, 300),
        ("minimum", {"over_s": 60}, 90, 200),
        ("maximum", {"over_s": 60}, 90, 400),
        ("energy", {}, 61, 12400),
        ("clock", {}, 61.5, "2027-01-15T08:01:01Z"),
        ("host", {}, 61, "On"),
    ],
)
def test_live_values(value, more, second, shown):
    payload = Payload({PATH: b'{"a": [{"b": 7, "c": null}]}'})
    live = live_bmc()
    resource = live_resources(payload, [LivePointer(PATH, "/a/0/b", value, **more)], live)[PATH]
    body = json.loads(resource.render(live.view(at(second))))
    assert body == {"a": [{"b": shown, "c": None}]}


def test_fractional_quanta_stay_fractional_and_whole_ones_whole():
    payload = Payload({PATH: b'{"a": 1}'})
    for quantum_w, text in ((0.1, b'{"a":200.1}'), (1.0, b'{"a":200}')):
        live = live_bmc(quantum_w=quantum_w, gain=1.0004)
        resource = live_resources(payload, [LivePointer(PATH, "/a")], live)[PATH]
        assert resource.render(live.view(at(10))) == text


def test_a_body_is_rendered_once_per_publication():
    payload = Payload({PATH: b'{"a": 1}'})
    live = live_bmc(refresh_s=10)
    resource = live_resources(payload, [LivePointer(PATH, "/a")], live)[PATH]
    body = resource.render(live.view(at(10)))
    assert resource.render(live.view(at(19.9))) is body
    assert resource.render(live.view(at(70))) != body


@pytest.mark.parametrize(("pointer", "key"), [("/a/0/b", "b"), ("/x~1y", "x/y"), ("/~0", "~"), ("/a/0", 0)])
def test_json_pointers(pointer, key):
    tree = {"a": [{"b": 1}], "x/y": 2, "~": 3}
    container, found = resolve_pointer(tree, pointer)
    assert found == key
    assert container[found] is not None


@pytest.mark.parametrize("pointer", ["", "a", "/nowhere", "/a/1", "/a/b", "/a/0/b/c"])
def test_json_pointers_to_nowhere(pointer):
    with pytest.raises(LookupError):
        resolve_pointer({"a": [{"b": 1}]}, pointer)


async def test_power_state_follows_a_reboot_and_power_is_standby_meanwhile(tmp_path):
    table = (
        '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\n'
        "power = { constant_w = 200 }\n"
        "sensor = { refresh_s = 0, window_s = 0 }\n"
    )
    async with simulated(tmp_path, table) as sim:
        system = "/redfish/v1/Systems/System.Embedded.1"
        power = "/redfish/v1/Chassis/System.Embedded.1/Power"
        assert (await sim.get("a", system))["PowerState"] == "On"
        order = await sim.order("/reboot", {"server": "a", "off_s": 30, "standby_w": 8})
        assert order["to"] - order["from"] == 30 * NS_PER_S
        assert (await sim.get("a", system))["PowerState"] == "Off"
        assert (await sim.get("a", "/redfish/v1/Chassis/System.Embedded.1"))["PowerState"] == "Off"
        assert (await sim.get("a", power))["PowerControl"][0]["PowerConsumedWatts"] == 8
        now = await sim.ask("/power", server="a")
        assert (now["watts"], now["host"]) == (8, "off")


async def test_a_file_of_bodies_is_served_as_it_stands(tmp_path):
    bodies = {"/redfish/v1/": {"b": 1.50}, "/redfish/v1/Chassis/a%2Fb": [], "/redfish/v1/Bad": '{"x": 1,}'}
    (tmp_path / "own.json").write_text(json.dumps(bodies))
    table = '[[bmc]]\nid = "a"\nprotocol = "redfish"\nscheme = "http"\npayload = "own.json"\n'
    async with simulated(tmp_path, table) as sim:
        assert await sim.get("a", "/redfish/v1/Chassis/a/b") == []
        async with sim.client.get(sim.url("a", "/redfish/v1/Bad"), headers=basic()) as answer:
            assert await answer.text() == '{"x": 1,}'
        async with sim.client.get(sim.url("a", "/redfish/v1/Nowhere"), headers=basic()) as answer:
            assert answer.status == 404
            assert "error" in await answer.json()
        async with sim.client.patch(sim.url("a", "/redfish/v1/Bad"), headers=basic()) as answer:
            assert answer.status == 405
        async with sim.client.get(
            f"{sim.control}/truth", params={"server": "a", "from": 1, "to": 2}
        ) as answer:
            assert answer.status == 409


async def test_latency_delays_the_answer(tmp_path):
    table = (
        '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\n'
        "power = { constant_w = 200 }\n"
        "sensor = { latency_s = 0.2 }\n"
    )
    async with simulated(tmp_path, table) as sim:
        started = time.monotonic()
        await sim.get("a", "/redfish/v1")
        assert time.monotonic() - started >= 0.2


@pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the corpus of captured payloads is not beside the repository"
)
async def test_every_captured_set_is_served_byte_for_byte(tmp_path):
    """All sets in one fleet: each resource, with and without a slash at the end, as it was captured."""
    sets = sorted(folder for folder in CORPUS.iterdir() if any(folder.glob("*/v1/index.json")))
    assert len(sets) >= 20
    table = "".join(
        f'[[bmc]]\nid = "{folder.name}"\nprotocol = "redfish"\nscheme = "http"\npayload = "{folder}"\n'
        for folder in sets
    )
    async with simulated(tmp_path, table) as sim:
        for folder in sets:
            files = [file for file in folder.rglob("index.json") if "Sensors" not in file.parts]
            for file in files[:25]:
                path = f"/{file.parent.relative_to(folder).as_posix()}"
                for slash in ("", "/"):
                    url = sim.url(folder.name, path + slash)
                    async with sim.client.get(url, headers=basic()) as answer:
                        assert answer.status == 200, url
                        assert await answer.read() == file.read_bytes()


@pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the corpus of captured payloads is not beside the repository"
)
@pytest.mark.parametrize(
    ("name", "path"), [("DERIVED-HPE-iLO4-2.10-rest", "/rest/v1"), ("Intel-S2600-BMC", "/redfish/v1")]
)
def test_captured_folders_load(name, path):
    payload = load_payload(str(CORPUS / name), base=Path(), where="here")
    assert payload.tree(path)["Name"]
