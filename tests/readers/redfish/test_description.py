"""What is told of a server besides its power: inlet temperature, power cap, supplies, and when it is told."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import pytest

from energyrecorder.errors import BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.planner import RENEWAL_REQUESTS
from energyrecorder_execd.readers.redfish.thermal import inlet_c
from support.fake_http import FakeHttp
from support.readers import Clock
from support.redfish_bench import SENSOR, Bench, tree

CASE = Path(__file__).parents[2] / "testcases/redfish/dell-r750-idrac9-6.00/responses.json"
CHASSIS = "/redfish/v1/Chassis/1"
THERMAL, POWER = f"{CHASSIS}/Thermal", f"{CHASSIS}/Power"
MANAGER = "/redfish/v1/Managers/1"


def _reader(facts, http, clock=time.time_ns):
    reader = RedfishReader(
        Target("b", "127.0.0.1", 1, "http", "u", Secret("p")), Context(Memory(facts), clock), HttpClients()
    )
    reader._http = http
    return reader


@pytest.fixture
def http():
    """Return a Dell R750 made of documents."""
    return FakeHttp(copy.deepcopy(json.loads(CASE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("document", "celsius"),
    [
        ({"Temperatures": [{"PhysicalContext": "Intake", "ReadingCelsius": 21}]}, 21.0),
        ({"Temperatures": [{"Name": "01-Inlet Ambient", "ReadingCelsius": "22"}]}, 22.0),
        # Named like it, but the one that says Intake is it.
        (
            {
                "Temperatures": [
                    {"Name": "PCIe Ambient", "ReadingCelsius": 40},
                    {"PhysicalContext": "Intake", "ReadingCelsius": 21},
                ]
            },
            21.0,
        ),
        ({"TemperatureSummaryCelsius": {"Intake": {"Reading": 24.5}}}, 24.5),
        ({"Temperatures": [{"Name": "CPU1 Temp", "ReadingCelsius": 58}]}, None),
        ({"Temperatures": [{"Name": "Inlet", "ReadingCelsius": 0}]}, None),
        ({"Temperatures": [{"Name": "Inlet", "ReadingCelsius": 255}]}, None),
        (
            {"Temperatures": [{"Name": "Inlet", "ReadingCelsius": 20, "Status": {"State": "Absent"}}]},
            None,
        ),
        ({"Temperatures": {"Name": "Inlet", "ReadingCelsius": None}}, None),
        ({"TemperatureSummaryCelsius": {"Intake": []}}, None),
        ([], None),
    ],
)
def test_the_inlet_temperature(document, celsius):
    """Known by context or name; odd shapes are none."""
    assert inlet_c(document) == celsius


async def test_the_inlet_temperature_costs_one_request_an_hour(http):
    """The first comes with the walk; a resource that fails costs no reading."""
    clock = Clock()
    reader = _reader({}, http, clock)
    assert (await reader.poll()).info.inlet_c == 23.0
    http.asked.clear()
    http.documents[THERMAL]["Temperatures"][1]["ReadingCelsius"] = 25
    clock.ahead_s = 200
    assert (await reader.poll()).info is None
    assert http.asked == [POWER]
    clock.ahead_s = 3601
    poll = await reader.poll()
    assert (poll.info.inlet_c, http.asked.count(THERMAL)) == (25.0, 1)
    assert poll.info.model == "PowerEdge R750"
    del http.documents[THERMAL]
    clock.ahead_s = 7300
    poll = await reader.poll()
    assert (poll.error, poll.readings[0].watts) == ("", 614.0)


async def test_a_changed_power_cap_and_a_missing_supply_are_told_at_once(http):
    """They stand in the resource that each poll reads anyway."""
    reader = _reader({}, http)
    info = (await reader.poll()).info
    assert (info.power_cap_w, info.psu_count, info.psu_capacity_w) == (1205.0, 2, 4800.0)
    http.documents[POWER]["PowerControl"][0]["PowerLimit"]["LimitInWatts"] = 500
    http.documents[POWER]["PowerSupplies"][1]["Status"] = {"State": "Absent"}
    http.asked.clear()
    info = (await reader.poll()).info
    assert (info.power_cap_w, info.psu_count, info.inlet_c) == (500.0, 1, 23.0)
    assert info.psu_capacity_w == 2400.0
    assert http.asked == [POWER]
    assert (await reader.poll()).info is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ChassisType": "Sled"},
        {"Links": {"ContainedBy": {"@odata.id": "/redfish/v1/Chassis/Enclosure"}}},
        {"Manufacturer": "Dell Inc.", "Model": "PowerEdge C6420"},
    ],
)
async def test_supplies_of_an_enclosure_are_not_rated(http, changes):
    """They are counted, but what they are rated for is there for other computers too; polls add none."""
    http.documents[CHASSIS] |= changes
    system = http.documents["/redfish/v1/Systems/1"]
    system |= {key: changes[key] for key in ("Manufacturer", "Model") if key in changes}
    reader = _reader({}, http)
    assert ((info := (await reader.poll()).info).psu_count, info.psu_capacity_w) == (2, None)
    http.documents[POWER]["PowerSupplies"][1]["Status"] = {"State": "Absent"}
    assert ((info := (await reader.poll()).info).psu_count, info.psu_capacity_w) == (1, None)


async def test_a_rating_that_is_not_told_for_a_moment_stays(http):
    """A BMC that has just started shows null."""
    reader = _reader({}, http)
    await reader.poll()
    http.documents[POWER]["PowerSupplies"][1]["PowerCapacityWatts"] = None
    http.documents[POWER]["PowerControl"][0]["PowerLimit"]["LimitInWatts"] = 500
    assert (await reader.poll()).info.psu_capacity_w == 4800.0


async def test_the_rating_of_the_newer_resources(http):
    """Without a Power resource it stands at each PowerSupply of the PowerSubsystem."""
    subsystem, total = f"{CHASSIS}/PowerSubsystem", f"{CHASSIS}/EnvironmentMetrics"
    del http.documents[POWER], http.documents[CHASSIS]["Power"]
    http.documents[CHASSIS] |= {
        "PowerSubsystem": {"@odata.id": subsystem},
        "EnvironmentMetrics": {"@odata.id": total},
    }
    paths = [f"{subsystem}/PowerSupplies/{number}" for number in range(3)]
    http.documents |= {
        total: {"PowerWatts": {"Reading": 500}},
        subsystem: {"PowerSupplies": {"@odata.id": f"{subsystem}/PowerSupplies"}},
        f"{subsystem}/PowerSupplies": {"Members": [{"@odata.id": path} for path in paths]},
        **{path: {"PowerCapacityWatts": 1400} for path in paths[:2]},
        paths[2]: {"PowerCapacityWatts": 1400, "Status": {"State": "Absent"}},
    }
    info = (await _reader({}, http).poll()).info
    assert (info.psu_count, info.psu_capacity_w) == (2, 2800.0)


class _Away(FakeHttp):
    """A BMC that can be away."""

    away = False

    async def get(self, path, *, anonymous=False):
        if self.away:
            raise BmcUnreachableError(f"GET {path}: no route", reason="unreachable")
        return await super().get(path, anonymous=anonymous)


async def test_new_firmware_is_noticed_when_the_bmc_is_back(http):
    """It cannot come without an absence; the walk goes beside the readings, a few requests per poll."""
    clock = Clock()
    bmc = _Away(http.documents)
    reader = _reader({}, bmc, clock)
    assert (await reader.poll()).info.bmc_fw == "6.00.30.00"
    clock.ahead_s = 700
    bmc.away = True
    with pytest.raises(BmcUnreachableError):
        await reader.poll()
    bmc.away = False
    bmc.documents[MANAGER]["FirmwareVersion"] = "7.10.50.00"
    polls = [await reader.poll() for _ in range(8)]
    assert [poll.readings[0].watts for poll in polls] == [614.0] * 8
    assert max(poll.requests for poll in polls) <= 6
    assert [poll.info.bmc_fw for poll in polls if poll.info is not None] == ["7.10.50.00"]
    assert polls[-1].requests == 1
    # Without another absence hours pass until the next walk.
    clock.ahead_s = 1400
    assert (await reader.poll()).requests <= 2


async def test_new_firmware_is_noticed_when_the_collector_is_back(http):
    """It may have come while nobody looked; a collector that was away for minutes looks at nothing."""
    clock, facts = Clock(), {}
    await _reader(facts, http, clock).poll()
    http.documents[MANAGER]["FirmwareVersion"] = "7.10.50.00"
    told, asked = [], []
    for away_s in (300, 700, 300):
        clock.ahead_s += away_s
        facts = json.loads(json.dumps(facts))
        reader = _reader(facts, http, clock)
        polls = [await reader.poll() for _ in range(8)]
        assert [poll.readings[0].watts for poll in polls] == [614.0] * 8
        told.append([poll.info.bmc_fw for poll in polls if poll.info is not None])
        asked.append([poll.requests for poll in polls])
    assert told == [["6.00.30.00"], ["6.00.30.00", "7.10.50.00"], ["7.10.50.00"]]
    # The power, the host's state and the inlet temperature, which are not remembered.
    assert asked[0] == asked[2] == [3] + [1] * 7
    assert asked[1][0] == 3 + RENEWAL_REQUESTS
    assert max(asked[1]) == asked[1][0]
    assert asked[1][-1] == 1


async def test_a_sensor_that_does_not_average_says_so_in_each_reading():
    """A declared window of 0 s is not taken for an unknown one."""
    bench = Bench(tree(sensor=190))
    bench.documents[SENSOR] |= {"AveragingInterval": "PT0S", "SensingInterval": "PT1S"}
    poll, _ = await bench.poll()
    (reading,) = poll.readings
    assert (reading.window_s, reading.refresh_s, poll.info.window_s) == (0.0, 1.0, 0.0)
