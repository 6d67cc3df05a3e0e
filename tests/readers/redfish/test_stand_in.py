"""What stands in for a total in the very poll in which its own place is silent, and what never does."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_execd.findings import Findings
from energyrecorder_execd.http import HttpClients, HttpStatusError
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader, stand_in, totals
from energyrecorder_execd.readers.redfish.meter import MeterMemory
from energyrecorder_execd.readers.redfish.rediscovery import RETURN_S
from energyrecorder_execd.readers.redfish.stand_in import AGREES
from energyrecorder_execd.readers.redfish.totals import Totals
from support.fake_http import FakeHttp
from support.readers import Clock

ROOT = "/redfish/v1"
CHASSIS, SYSTEM = f"{ROOT}/Chassis/1", f"{ROOT}/Systems/1"
POWER, ENVIRONMENT, SENSORS = f"{CHASSIS}/Power", f"{CHASSIS}/EnvironmentMetrics", f"{CHASSIS}/Sensors"
SENSOR = f"{SENSORS}/total_power"
TARGET = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))
CASES = sorted((Path(__file__).parents[2] / "testcases/redfish").glob("*/responses.json"))


def _ref(path):
    return {"@odata.id": path}


def _control(watts):
    return {"PowerControl": [{"PowerConsumedWatts": watts}]}


def _tree(power=None, *, environment=None, sensor=None, state="On"):
    """Return a BMC with one computer and those resources with power that are given."""
    chassis = {"Id": "1", "ChassisType": "RackMount", "Links": {"ComputerSystems": [_ref(SYSTEM)]}}
    more = {}
    if power is not None:
        chassis["Power"], more[POWER] = _ref(POWER), power
    if environment is not None:
        chassis["EnvironmentMetrics"], more[ENVIRONMENT] = _ref(ENVIRONMENT), environment
    if sensor is not None:
        chassis["Sensors"] = _ref(SENSORS)
        more |= {SENSORS: {"Members": [_ref(SENSOR)]}, SENSOR: {"ReadingUnits": "W", "Reading": sensor}}
    return {
        ROOT: {"Chassis": _ref(f"{ROOT}/Chassis"), "Systems": _ref(f"{ROOT}/Systems")},
        f"{ROOT}/Chassis": {"Members": [_ref(CHASSIS)]},
        f"{ROOT}/Systems": {"Members": [_ref(SYSTEM)]},
        CHASSIS: chassis,
        SYSTEM: {"Id": "1", "PowerState": state} if state else {"Id": "1"},
        **more,
    }


class Bench:
    """A BMC of documents, some of which may fail, and its reader."""

    def __init__(self, documents, facts=None):
        self.failing = {}
        self.hanging = set()
        self.facts = {} if facts is None else facts
        self.clock = Clock()
        self.http = FakeHttp(documents)
        self.documents = self.http.documents
        self.reader = RedfishReader(TARGET, Context(Memory(self.facts), self.clock), HttpClients())
        self.reader._http = self
        self.offer_sessions = self.http.offer_sessions

    @property
    def requests(self):
        return self.http.requests

    async def get(self, path, *, anonymous=False):
        answer = await self.http.get(path, anonymous=anonymous)
        if path in self.hanging:
            await asyncio.Event().wait()
        if path in self.failing:
            raise self.failing[path]
        return answer

    async def poll(self):
        """Return the poll and what it asked for."""
        self.http.asked.clear()
        return await self.reader.poll(), list(self.http.asked)


def _values(poll):
    return [(reading.source, reading.watts) for reading in poll.readings]


BROKEN = [
    BmcDataError(f"{POWER}: the body is not JSON", reason="data"),
    HttpStatusError(f"GET {POWER}: HTTP 500", status=500),
    HttpStatusError(f"GET {POWER}: HTTP 404", status=404),
]


@pytest.mark.parametrize("failure", [None, *BROKEN], ids=["null", "broken", "500", "404"])
async def test_a_hiccup_costs_no_reading_and_no_time_on_a_lower_rung(failure):
    """The next source gives the value of that poll, which is up and says so; the next poll is as ever."""
    bench = Bench(_tree(_control(200), sensor=190))
    assert _values((await bench.poll())[0]) == [("power_control", 200.0)]
    if failure is None:
        bench.documents[POWER] = _control(None)
    else:
        bench.failing[POWER] = failure
    poll, asked = await bench.poll()
    assert _values(poll) == [("sensor", 190.0)]
    assert (poll.error, poll.source) == ("", "sensor")
    assert POWER in poll.message
    assert poll.message.endswith("sensor stands in")
    assert asked == [POWER, SYSTEM, SENSOR]
    bench.failing.clear()
    bench.documents[POWER] = _control(201)
    poll, asked = await bench.poll()
    assert (_values(poll), poll.message, asked) == ([("power_control", 201.0)], "", [POWER])


async def test_what_stands_in_is_remembered_across_a_restart():
    """A collector that starts in the midst of a hiccup needs no walk either."""
    bench = Bench(_tree(_control(200), sensor=190))
    await bench.poll()
    again = Bench(_tree(_control(None), sensor=195), facts=json.loads(json.dumps(bench.facts)))
    poll, asked = await again.poll()
    assert (_values(poll), asked) == ([("sensor", 195.0)], [POWER, SYSTEM, SENSOR])


@pytest.mark.parametrize(("state", "host"), [("Off", "off"), ("PoweringOn", "unknown")])
async def test_nothing_stands_in_while_the_host_need_not_draw_power(state, host):
    """Null is right then, poll after poll: it costs the host's state and nothing else."""
    bench = Bench(_tree(_control(200), sensor=190))
    await bench.poll()
    bench.documents.update({POWER: _control(None), SYSTEM: {"Id": "1", "PowerState": state}})
    for _ in range(3):
        poll, asked = await bench.poll()
        assert (poll.readings, poll.error, poll.host) == ((), "no_reading", {None: host})
        assert asked == [POWER, SYSTEM]


async def test_a_host_of_unknowable_state_is_taken_for_on():
    """Where no resource tells the state, a null may be a hiccup."""
    bench = Bench(_tree(_control(200), sensor=190, state=None))
    await bench.poll()
    bench.documents[POWER] = _control(None)
    poll, asked = await bench.poll()
    assert (_values(poll), asked) == ([("sensor", 190.0)], [POWER, SENSOR])


async def test_a_source_that_stays_silent_is_replaced_beside_the_readings():
    """No poll is without value: another source stands in, becomes the plan, and the best comes back."""
    bench = Bench(_tree(_control(200), sensor=190))
    await bench.poll()
    bench.failing[POWER] = BROKEN[1]
    for _ in range(5):
        poll, asked = await bench.poll()
        assert (_values(poll), asked) == ([("sensor", 190.0)], [POWER, SYSTEM, SENSOR])
    bench.clock.ahead_s = RETURN_S + 1
    polls = [await bench.poll() for _ in range(6)]
    assert [_values(poll) for poll, _ in polls] == [[("sensor", 190.0)]] * 6
    assert max(len(asked) for _, asked in polls) <= 7
    assert (polls[-1][1], polls[-1][0].message) == ([SENSOR], "")
    bench.failing.clear()
    bench.clock.ahead_s = 2 * RETURN_S + 2
    values = [_values((await bench.poll())[0]) for _ in range(6)]
    assert (values[0], values[-1]) == ([("sensor", 190.0)], [("power_control", 200.0)])


async def test_a_single_hiccup_leads_to_no_walk_however_old_the_plan():
    """Only the second poll in a row makes the plan doubtful."""
    bench = Bench(_tree(_control(200), sensor=190))
    await bench.poll()
    bench.clock.ahead_s = RETURN_S + 1
    for watts in (None, 200, None, 200):
        bench.documents[POWER] = _control(watts)
        _, asked = await bench.poll()
        assert set(asked) <= {POWER, SYSTEM, SENSOR}


async def test_without_a_stand_in_the_second_silent_poll_looks_around():
    """And finds what was not there before."""
    bench = Bench(_tree(_control(200)))
    await bench.poll()
    bench.documents.update(_tree(_control(None), sensor=190))
    poll, asked = await bench.poll()
    assert (poll.readings, poll.error, asked) == ((), "no_reading", [POWER, SYSTEM])
    poll, _ = await bench.poll()
    assert (_values(poll), poll.error) == ([("sensor", 190.0)], "")


@pytest.mark.parametrize(("other", "stands_in"), [(200 / AGREES, True), (90, False), (755, False)])
async def test_what_shows_another_power_stands_in_for_nothing(other, stands_in):
    """One of two supplies, or the supplies of an enclosure: such a view is never taken, not for one poll."""
    bench = Bench(_tree(_control(200), sensor=other))
    await bench.poll()
    bench.documents[POWER] = _control(None)
    poll, _ = await bench.poll()
    assert _values(poll) == ([("sensor", other)] if stands_in else [])


async def test_a_value_of_the_same_resource_serves_for_null_and_another_one_for_a_broken_body():
    """A vendor's total beside PowerControl costs no request; when their resource breaks both are gone."""
    vendors = {"Oem": {"Public": {"TotalPower": 198}}}
    bench = Bench(_tree(_control(200) | vendors, environment={"PowerWatts": {"Reading": 195}}))
    await bench.poll()
    bench.documents[POWER] = _control(None) | vendors
    poll, asked = await bench.poll()
    assert (_values(poll), asked) == ([("oem", 198.0)], [POWER, SYSTEM])
    bench.failing[POWER] = BROKEN[0]
    poll, asked = await bench.poll()
    assert (_values(poll), asked) == ([("environment_metrics", 195.0)], [POWER, SYSTEM, ENVIRONMENT])


async def test_each_node_has_its_own_stand_in():
    """What one node lacks is not taken from the other, and series stay what they are."""
    documents = _tree() | {f"{ROOT}/Chassis": {"Members": []}, f"{ROOT}/Systems": {"Members": []}}
    for name, watts in (("A", 300), ("B", 500)):
        chassis, system = f"{ROOT}/Chassis/{name}", f"{ROOT}/Systems/{name}"
        documents[f"{ROOT}/Chassis"]["Members"].append(_ref(chassis))
        documents[f"{ROOT}/Systems"]["Members"].append(_ref(system))
        documents |= {
            chassis: {
                "Id": name,
                "Power": _ref(f"{chassis}/Power"),
                "EnvironmentMetrics": _ref(f"{chassis}/EnvironmentMetrics"),
                "Links": {"ComputerSystems": [_ref(system)]},
            },
            f"{chassis}/Power": _control(watts),
            f"{chassis}/EnvironmentMetrics": {"PowerWatts": {"Reading": watts - 7}},
            system: {"Id": name, "PowerState": "On"},
        }
    bench = Bench(documents)
    await bench.poll()
    bench.documents[f"{ROOT}/Chassis/A/Power"] = _control(None)
    poll, _ = await bench.poll()
    assert [(one.node, one.scope, one.part, one.source, one.watts) for one in poll.readings] == [
        ("A", "server", None, "environment_metrics", 293.0),
        ("B", "server", None, "power_control", 500.0),
    ]


async def test_a_counter_of_another_resource_is_not_written_into_the_series():
    """The counter beside what stands in may be any other: a jump would look like energy."""
    energy = {"PowerWatts": {"Reading": 195}, "EnergykWh": {"Reading": 3.0}}
    bench = Bench(_tree(_control(200), environment=energy))
    poll, _ = await bench.poll()
    assert poll.readings[0].energy_counter_j == pytest.approx(3.0 * 3.6e6)
    bench.facts["redfish"]["plan"]["totals"][0]["counter"] = None
    again = Bench(_tree(_control(None), environment=energy), facts=json.loads(json.dumps(bench.facts)))
    poll, _ = await again.poll()
    assert (poll.readings[0].watts, poll.readings[0].energy_counter_j) == (195.0, None)


async def test_what_stands_in_sets_neither_pace_nor_description():
    """Its declared period is that of its readings, not of the server."""
    bench = Bench(_tree(_control(200), sensor=190))
    bench.documents[SENSOR]["SensingInterval"] = "PT60S"
    findings = Findings({})
    findings.learn((await bench.poll())[0])
    bench.documents[POWER] = _control(None)
    poll, _ = await bench.poll()
    findings.learn(poll)
    assert (poll.readings[0].refresh_s, poll.info, findings.refresh_s) == (60.0, None, None)


@pytest.mark.parametrize("failure", ["hangs", "breaks off"])
async def test_what_only_stands_in_costs_neither_the_plan_nor_a_poll(failure, monkeypatch):
    """A resource that hangs or breaks off: the first poll reads the total, a silent one ends in time."""
    monkeypatch.setattr(stand_in, "STAND_IN_LIMIT_S", 0.05)
    monkeypatch.setattr(totals, "STAND_IN_LIMIT_S", 0.05)
    broken_off = BmcUnreachableError("the connection broke", reason="unreachable")
    bench, new = (Bench(_tree(_control(200), sensor=190)) for _ in range(2))
    await bench.poll()
    for one in (bench, new):
        one.hanging = {SENSOR} if failure == "hangs" else set()
        one.failing = {} if failure == "hangs" else {SENSOR: broken_off}
    assert _values((await new.poll())[0]) == [("power_control", 200.0)]
    bench.documents[POWER] = _control(None)
    poll, asked = await bench.poll()
    assert (poll.readings, poll.error, asked) == ((), "no_reading", [POWER, SYSTEM, SENSOR])


@pytest.mark.parametrize("status", [503, 500])
async def test_a_stand_in_that_fails_too_leaves_the_first_reason(status):
    """A BMC that asks to be left alone for the second resource still said what was wrong with the first."""
    bench = Bench(_tree(_control(200), sensor=190))
    await bench.poll()
    bench.failing = {POWER: BROKEN[0], SENSOR: HttpStatusError(f"GET {SENSOR}: HTTP {status}", status=status)}
    poll, _ = await bench.poll()
    assert (poll.readings, poll.error, poll.message) == ((), "data", str(BROKEN[0]))


async def test_a_refused_log_in_is_never_passed_over():
    """Not even for a source that only stands in."""
    bench = Bench(_tree(_control(200), sensor=190))
    await bench.poll()
    bench.failing = {POWER: BROKEN[0], SENSOR: BmcAuthError("refused", reason="auth")}
    with pytest.raises(BmcAuthError):
        await bench.poll()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_what_stands_in_on_known_bmcs_agrees_with_their_total(case):
    """Whatever the ladder offers below the total: nothing that differs by more than losses and windows."""
    bench = Bench(json.loads(case.read_text(encoding="utf-8")))
    first, _ = asyncio.run(bench.poll())
    for total in bench.reader._plan.totals:
        own = next((one.watts for one in first.readings if one.node == total.node and one.part is None), None)
        for place in total.stand_ins:
            assert place != total.place
            watts = asyncio.run(_watts_at(bench, total, place))
            assert own / AGREES <= watts <= own * AGREES


async def _watts_at(bench, total, place):
    """Return what a place of a plan shows, read as in a poll."""
    found = Totals(bench, time.time_ns, bench.reader._plan.effects, {}, MeterMemory({}))
    await found.ask(place.paths)
    return found.take(total, place)[0].candidate.watts
