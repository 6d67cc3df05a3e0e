"""Energy counters: the right one, in joules, seldom, and never at the cost of the total."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from energyrecorder.errors import BmcAuthError, BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.counters import (
    CounterPlace,
    counter_j,
    energy_sibling,
    environment_counter,
    may_wrap_unseen,
    sensor_counter,
)
from support.fake_http import FakeHttp
from support.redfish_bench import CHASSIS, ENVIRONMENT, POWER, SENSOR, control, ref, tree, values
from support.redfish_bench import Bench as PlainBench

CASES = Path(__file__).parents[2] / "testcases/redfish"
KWH = 3.6e6


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"EnergyJoules": {"Reading": 5.5}, "EnergykWh": {"Reading": 1}}, 5.5),
        ({"EnergyJoules": {"Reading": 5, "LifetimeReading": 7}}, 7.0),
        ({"EnergykWh": {"Reading": "2"}}, 2 * KWH),
        ({"EnergykWh": {"LifetimeReading": 0, "Reading": 3}}, 3 * KWH),
        ({"EnergykWh": {"Reading": 0}}, None),
        ({"EnergykWh": {"Reading": None}}, None),
        ({"EnergykWh": 5}, None),
        ({"EnergyJoules": {"Reading": True}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_counter_of_an_environment(document, expected):
    """Joules before kWh, what lives on before what may be reset; 0 counts nothing."""
    place = environment_counter(document, "/e")
    assert (None if place is None else counter_j(document, place)) == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"Reading": 401457377, "ReadingUnits": "J", "ReadingType": "EnergyJoules"}, 401457377.0),
        ({"Reading": 325675, "ReadingUnits": "kW.h"}, 325675 * KWH),
        ({"Reading": 2, "ReadingUnits": "Wh"}, 7200.0),
        ({"Reading": 468, "ReadingType": "EnergyJoules"}, 468.0),
        ({"Reading": 468, "ReadingType": "Power"}, None),
        ({"Reading": 468, "ReadingUnits": "W", "ReadingType": "EnergyJoules"}, None),
        ({"Reading": None, "ReadingUnits": "J"}, None),
        ("x", None),
    ],
)
def test_the_counter_that_a_sensor_is(document, expected):
    """The unit decides; without one the type does."""
    place = sensor_counter(document, "/s")
    assert (None if place is None else counter_j(document, place)) == expected


def test_the_energy_sensor_beside_a_power_sensor():
    """The same id, whatever the spelling of the path; a sensor without Power in its id has none."""
    listed = ("/S/VR0InputEnergy/", "/S/VR1InputEnergy", "/S/VR0InputPower")
    assert energy_sibling("/S/VR0InputPower", listed) == "/S/VR0InputEnergy/"
    assert energy_sibling("/S/VR2InputPower", listed) is None
    assert energy_sibling("/S/Consumption", (*listed, "/S/Consumption")) is None


@pytest.mark.parametrize(
    ("wrap_j", "watts", "unseen"),
    [(None, 9e9, False), (65535, 100, True), (262144, 3000, True), (1e9, 9e3, False)],
)
def test_a_counter_that_may_wrap_unseen_is_worth_nothing(wrap_j, watts, unseen):
    """65,536 J are gone in two minutes at 550 W (Gigabyte); nobody knows how often it went round."""
    assert may_wrap_unseen(CounterPlace("/p", "/Reading", 1.0, wrap_j), watts) is unseen


class Bmc(FakeHttp):
    """A case's documents; single resources fail on demand."""

    def __init__(self, case, **changes):
        documents = json.loads((CASES / case / "responses.json").read_text(encoding="utf-8"))
        super().__init__({**documents, **changes})
        self.failing = {}

    async def get(self, path, *, anonymous=False):
        if path in self.failing:
            self.asked.append(path)
            if self.failing[path] == "hang":
                await asyncio.sleep(60)
            raise self.failing[path]
        return await super().get(path, anonymous=anonymous)


class Bench:
    """A reader of a `Bmc` and a clock that the test moves."""

    def __init__(self, bmc, facts=None):
        self.ahead_s = 0
        self.facts = {} if facts is None else facts
        self.bmc = bmc
        context = Context(Memory(self.facts), lambda: time.time_ns() + self.ahead_s * 10**9)
        self.reader = RedfishReader(
            Target("b", "127.0.0.1", 1, "http", "u", Secret("p")), context, HttpClients()
        )
        self.reader._http = bmc

    async def poll(self):
        before = len(self.bmc.asked)
        poll = await self.reader.poll()
        return poll, self.bmc.asked[before:]


NODE = "/redfish/v1/Chassis/Node0/Sensors/ChassisVoltageRegulator0InputEnergy"


async def test_each_node_has_its_own_counter():
    """Cray EX235n: the sensor InputEnergy named Node, beside InputPower."""
    poll, _ = await Bench(Bmc("cray-ex235n")).poll()
    assert {r.node: (r.watts, r.energy_counter_j) for r in poll.readings} == {
        "Node0": (467.0, 401457377.0),
        "Node1": (534.0, 391216340.0),
    }


async def test_a_counter_is_read_once_a_minute_and_remembered():
    """FakeHttp stamps answers by the real clock, so time is moved in the reader's memory of what is due."""
    bench = Bench(Bmc("cray-ex235n"))
    await bench.poll()
    poll, asked = await bench.poll()
    assert [path for path in asked if "Energy" in path] == []
    assert all(r.energy_counter_j is None and r.watts for r in poll.readings)
    for node in ("Node0", "Node1"):
        bench.reader._extras._counter_due_ns[node] -= 60 * 10**9
    poll, asked = await bench.poll()
    assert len([path for path in asked if "Energy" in path]) == 2
    assert all(r.energy_counter_j for r in poll.readings)
    again = Bench(bench.bmc, json.loads(json.dumps(bench.facts)))
    poll, asked = await again.poll()
    assert not any(path.endswith("Chassis") for path in asked)
    assert all(r.energy_counter_j for r in poll.readings)


async def test_of_several_counters_in_one_resource_it_stays_the_same_one():
    """Joules that are null for a while are not continued by kilowatt-hours; it costs no request."""
    shown = {"PowerWatts": {"Reading": 300}, "EnergyJoules": {"Reading": 9e6}, "EnergykWh": {"Reading": 3}}
    bench = PlainBench(tree(environment=shown))
    counters = []
    for energy in ({"Reading": 9e6}, None, {"Reading": 9.1e6}):
        bench.documents[ENVIRONMENT] = {**shown, "EnergyJoules": energy}
        poll, asked = await bench.poll()
        counters.append(poll.readings[0].energy_counter_j)
        bench.clock.ahead_s += 700
    assert counters == [9e6, None, 9.1e6]
    assert asked.count(ENVIRONMENT) == 1


async def test_environment_metrics_that_only_name_a_sensor_have_their_counter():
    """The power is followed to the sensor, the energy stands where it stood."""
    shown = {"PowerWatts": {"DataSourceUri": SENSOR}, "EnergykWh": {"Reading": 2}}
    bench = PlainBench(tree(environment=shown) | {SENSOR: {"ReadingUnits": "W", "Reading": 300}})
    poll, _ = await bench.poll()
    assert [(r.watts, r.energy_counter_j) for r in poll.readings] == [(300.0, 2 * KWH)]


SUPPLIES = f"{CHASSIS}/PowerSubsystem/PowerSupplies"


def _supplies(*metrics):
    """Return a BMC with a supply for each of these metrics."""
    documents = tree()
    documents[CHASSIS]["PowerSubsystem"] = ref(f"{CHASSIS}/PowerSubsystem")
    documents[f"{CHASSIS}/PowerSubsystem"] = {"PowerSupplies": ref(SUPPLIES)}
    members = [f"{SUPPLIES}/{number}" for number in range(len(metrics))]
    documents[SUPPLIES] = {"Members": [ref(path) for path in members]}
    for path, shown in zip(members, metrics, strict=True):
        documents |= {path: {"Metrics": ref(f"{path}/Metrics")}, f"{path}/Metrics": shown}
    return documents


async def test_the_counters_of_supplies_are_added_up_once_a_minute_without_a_request():
    """They stand beside the power of each; a sum that lacks one of them counts nothing."""
    shown = [
        {"InputPowerWatts": {"Reading": watts}, "EnergykWh": {"Reading": kwh}}
        for watts, kwh in ((100, 3), (98, 4))
    ]
    bench = PlainBench(_supplies(*shown))
    metrics = [f"{SUPPLIES}/{number}/Metrics" for number in range(2)]
    counters = []
    for kwh, after_s in ((4, 0), (4, 30), (5, 31), (None, 61), (6, 601)):
        shown[1]["EnergykWh"]["Reading"] = kwh
        bench.clock.ahead_s += after_s
        poll, asked = await bench.poll()
        assert values(poll) == [("psu_input_sum", 198.0)]
        assert [asked.count(path) for path in metrics] == [1, 1]
        counters.append(poll.readings[0].energy_counter_j)
    assert counters == [7 * KWH, None, 8 * KWH, None, 9 * KWH]


async def test_the_counters_of_supplies_belong_to_the_sum_of_them_alone():
    """Neither to what they stand in for, nor to what they deliver."""
    shown = [{"InputPowerWatts": {"Reading": watts}, "EnergykWh": {"Reading": 3}} for watts in (100, 98)]
    documents = _supplies(*shown)
    beside = tree(control(199))
    documents[CHASSIS] |= beside[CHASSIS]
    documents[POWER] = beside[POWER]
    bench = PlainBench(documents)
    assert [r.energy_counter_j for r in (await bench.poll())[0].readings] == [None]
    bench.documents[POWER] = control(None)
    poll, _ = await bench.poll()
    assert [(r.source, r.energy_counter_j) for r in poll.readings] == [("psu_input_sum", None)]
    for metrics in shown:
        metrics["OutputPowerWatts"] = {"Reading": 90}
    shown[1]["InputPowerWatts"]["Reading"] = None
    poll, _ = await PlainBench(_supplies(*shown)).poll()
    assert [(r.source, r.energy_counter_j) for r in poll.readings] == [("psu_output_sum", None)]


@pytest.mark.parametrize("failure", ["hang", BmcUnreachableError("gone", reason="timeout")])
async def test_a_counter_that_fails_costs_no_reading_and_is_left_alone(failure, monkeypatch):
    """The poll has its watts, and the counter is not asked for again for a while."""
    monkeypatch.setattr("energyrecorder_execd.readers.redfish.extras.EXTRAS_LIMIT_S", 0.05)
    bench = Bench(Bmc("cray-ex235n"))
    await bench.poll()
    bench.bmc.failing[NODE] = failure
    bench.reader._extras._counter_due_ns.clear()
    poll, _ = await bench.poll()
    assert {r.node: (r.watts, r.energy_counter_j) for r in poll.readings}["Node0"] == (467.0, None)
    bench.reader._extras._counter_due_ns["Node0"] -= 60 * 10**9
    _, asked = await bench.poll()
    assert NODE not in asked


async def test_a_refused_log_in_is_never_passed_over():
    """Somebody counts refusals."""
    bench = Bench(Bmc("cray-ex235n"))
    await bench.poll()
    bench.bmc.failing[NODE] = BmcAuthError("no", reason="auth")
    bench.reader._extras._counter_due_ns.clear()
    with pytest.raises(BmcAuthError):
        await bench.poll()


ATTRIBUTES = "/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/DellAttributes/System.Embedded.1"


async def test_the_vendors_counter_is_found_by_its_link():
    """Dell: AccumulativePower is in Wh, and its resource is one of several that the manager links to."""
    links = {
        "DellAttributes": [{"@odata.id": ATTRIBUTES.replace("System", "iDRAC")}, {"@odata.id": ATTRIBUTES}]
    }
    manager = {"Id": "1", "FirmwareVersion": "6.00.30.00", "Links": {"Oem": {"Dell": links}}}
    bmc = Bmc("dell-r750-idrac9-6.00")
    (path,) = [p for p in bmc.documents if p.startswith("/redfish/v1/Managers/")]
    bmc.documents[path] = manager
    bmc.documents[ATTRIBUTES] = {"Attributes": {"ServerPwrMon.1.AccumulativePower": 3982394}}
    poll, _ = await Bench(bmc).poll()
    assert [(r.watts, r.energy_counter_j) for r in poll.readings] == [(614.0, 3982394 * 3600.0)]
    # Without the link nothing is guessed.
    manager["Links"]["Oem"]["Dell"]["DellAttributes"].pop()
    poll, asked = await Bench(bmc).poll()
    assert [r.energy_counter_j for r in poll.readings] == [None]
    assert ATTRIBUTES not in asked
