"""Parts of a computer: series of their own, only when wanted, never the total twice, never at its cost."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from energyrecorder.errors import BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.quirks import Effects
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.components import part_name, power_components
from support.fake_http import FakeHttp

CASES = Path(__file__).parents[2] / "testcases/redfish"


def _documents(case):
    return json.loads((CASES / case / "responses.json").read_text(encoding="utf-8"))


def _reader(http, *, components=True, facts=None):
    target = Target(
        "b", "127.0.0.1", 1, "http", "u", Secret("p"), options={"components": True} if components else {}
    )
    reader = RedfishReader(
        target, Context(Memory({} if facts is None else facts), time.time_ns), HttpClients()
    )
    reader._http = http
    return reader


async def _parts(case, **more):
    poll = await _reader(FakeHttp(_documents(case)), **more).poll()
    assert poll.error == ""
    return {r.part: (r.watts, r.source, r.side) for r in poll.readings if r.scope == "component"}


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("HGX_GPU_SXM_4", "gpu4"),
        ("HGX_CPU_1", "cpu1"),
        ("CPU Sub-system Power", "cpu"),
        ("Memory Sub-system Power", "memory"),
        ("Processor0", "cpu0"),
        ("GPUSubsystemAccelerator3Power", "gpu3"),
        ("HGX_ERoT_GPU_SXM_6", None),
        ("PCIeSlot_3", None),
        ("", None),
    ],
)
def test_what_a_part_is_called(said, part):
    """Kind and number; what only guards a part, or tells no kind, is none."""
    assert part_name(said) == part


async def test_four_supplies_at_one_time_are_four_points():
    """Lenovo: CPU, memory and each supply by its own input, not the output total that all four repeat."""
    assert await _parts("lenovo-sr670v2-xcc-2.83") == {
        "cpu": (99.0, "power_control", "unknown"),
        "memory": (14.0, "power_control", "unknown"),
        "psu1": (199.0, "psu_input_sum", "ac"),
        "psu2": (169.0, "psu_input_sum", "ac"),
        "psu3": (170.0, "psu_input_sum", "ac"),
        "psu4": (168.0, "psu_input_sum", "ac"),
    }


async def test_they_are_off_by_default():
    """A fleet's series do not multiply unasked."""
    assert await _parts("lenovo-sr670v2-xcc-2.83", components=False) == {}


async def test_a_total_that_each_supply_repeats_is_no_part():
    """HPE XL675d: 894 W four times."""
    assert await _parts("hpe-xl675d-ilo5-2.70-supplies-only") == {}


async def test_supplies_of_several_nodes_are_no_part_of_one():
    """Supermicro FatTwin: 400 and 355 W feed four nodes, after a restart too."""
    facts = {}
    assert await _parts("supermicro-x10dff-3.25", facts=facts) == {}
    assert await _parts("supermicro-x10dff-3.25", facts=json.loads(json.dumps(facts))) == {}


def test_a_supply_keeps_its_number_when_another_bay_is_empty():
    """Bays are counted, so that a series never changes what it means."""
    absent = {"Status": {"State": "Absent"}, "PowerInputWatts": 7}
    document = {"PowerSupplies": [absent, {"PowerInputWatts": 50}, {"LastPowerOutputWatts": 40}, {}]}
    found = power_components(document, "/p", Effects())
    assert [(c.part, c.watts, c.side) for c in found] == [("psu2", 50.0, "ac"), ("psu3", 40.0, "dc")]


def _with_gpus():
    documents = _documents("nvidia-gb200-24.12")
    members = documents["/redfish/v1/Chassis"]["Members"]
    for number in range(4):
        path = f"/redfish/v1/Chassis/HGX_GPU_{number}"
        if {"@odata.id": path} not in members:
            members.append({"@odata.id": path})
        environment = f"{path}/EnvironmentMetrics"
        documents[path] = {
            "Id": f"HGX_GPU_{number}",
            "ChassisType": "Component",
            "EnvironmentMetrics": {"@odata.id": environment},
        }
        documents[environment] = {"PowerWatts": {"Reading": 100 + number}}
    return documents


async def test_parts_with_resources_of_their_own():
    """NVIDIA GB200: the environment of each GPU; the total is what it was."""
    poll = await _reader(FakeHttp(_with_gpus())).poll()
    total = [r for r in poll.readings if r.scope == "server"]
    assert [r.watts for r in total] == [1073.19]
    parts = {r.part: r.watts for r in poll.readings if r.scope == "component"}
    assert parts.items() >= {"gpu0": 100.0, "gpu1": 101.0, "gpu2": 102.0, "gpu3": 103.0}.items()
    plain = await _reader(FakeHttp(_with_gpus()), components=False).poll()
    assert [r.watts for r in plain.readings] == [1073.19]


class OneFails(FakeHttp):
    """A BMC one of whose resources hangs or breaks."""

    failing = ""
    how = "hang"

    async def get(self, path, *, anonymous=False):
        if self.failing and self.failing in path:
            if self.how == "hang":
                await asyncio.sleep(60)
            raise BmcUnreachableError("gone", reason="unreachable")
        return await super().get(path, anonymous=anonymous)


@pytest.mark.parametrize("how", ["hang", "break"])
async def test_a_part_that_fails_costs_neither_the_total_nor_the_others(how, monkeypatch):
    """The total is there in each poll, and each of the others within a few."""
    monkeypatch.setattr("energyrecorder_execd.readers.redfish.extras.EXTRAS_LIMIT_S", 0.05)
    http = OneFails(_with_gpus())
    reader = _reader(http)
    await reader.poll()
    http.failing, http.how = "HGX_GPU_1/", how
    seen = set()
    for _ in range(6):
        poll = await reader.poll()
        assert [r.watts for r in poll.readings if r.scope == "server"] == [1073.19]
        seen |= {r.part for r in poll.readings if r.scope == "component"}
    assert {"gpu0", "gpu2", "gpu3"} <= seen
    assert "gpu1" not in seen


async def test_a_sled_and_the_infrastructure_are_parts_of_the_enclosure():
    """Dell C6600: from the manager's attributes, also after a restart; never the server's own power."""
    facts = {}
    documents = _documents("dell-c6615-sled")
    for _ in range(2):
        poll = await _reader(FakeHttp(documents), facts=facts).poll()
        assert [r.watts for r in poll.readings if r.scope == "server"] == [80.0]
        parts = {r.part: r.watts for r in poll.readings if r.scope == "enclosure"}
        assert parts == {"sled": 95.0, "infrastructure": 62.0}
        assert not any((r.part or "").startswith("psu") for r in poll.readings)
        facts = json.loads(json.dumps(facts))


async def test_a_vendors_part_without_a_value_is_none():
    """Zero, text, gone: no series, and the total stays."""
    documents = _documents("hpe-dl360-gen11-ilo6")
    metric = documents["/redfish/v1/Chassis/1/Power"]["Oem"]["Hpe"]["PowerMetric"]
    for value in (0, None, "many", {}, -1):
        metric["CpuWatts"] = value
        poll = await _reader(FakeHttp(documents)).poll()
        found = {r.part: r.watts for r in poll.readings}
        assert found[None] == 276.0
        assert "cpu" not in found
        assert found["memory"] == 31.0
