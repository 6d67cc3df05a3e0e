"""What stands in for a total in the very poll in which its own place is silent, and what never does."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcUnreachableError
from energyrecorder_execd.findings import Findings
from energyrecorder_execd.http import HttpStatusError
from energyrecorder_execd.quirk_places import HISTORIES
from energyrecorder_execd.readers.redfish import stand_in, totals
from energyrecorder_execd.readers.redfish.meter import MeterMemory
from energyrecorder_execd.readers.redfish.rediscovery import RETURN_S
from energyrecorder_execd.readers.redfish.stand_in import AGREES
from energyrecorder_execd.readers.redfish.totals import Totals
from support.redfish_bench import (
    ENVIRONMENT,
    POWER,
    ROOT,
    SENSOR,
    SYSTEM,
    Bench,
    control,
    tree,
    two_nodes,
    values,
)

CASES = sorted((Path(__file__).parents[2] / "testcases/redfish").glob("*/responses.json"))


BROKEN = [
    BmcDataError(f"{POWER}: the body is not JSON", reason="data"),
    HttpStatusError(f"GET {POWER}: HTTP 500", status=500),
    HttpStatusError(f"GET {POWER}: HTTP 404", status=404),
]


@pytest.mark.parametrize("failure", [None, *BROKEN], ids=["null", "broken", "500", "404"])
async def test_a_hiccup_costs_no_reading_and_no_time_on_a_lower_rung(failure):
    """The next source gives the value of that poll, which is up and says so; the next poll is as ever."""
    bench = Bench(tree(control(200), sensor=190))
    assert values((await bench.poll())[0]) == [("power_control", 200.0)]
    if failure is None:
        bench.documents[POWER] = control(None)
    else:
        bench.failing[POWER] = failure
    poll, asked = await bench.poll()
    assert values(poll) == [("sensor", 190.0)]
    assert (poll.error, poll.source) == ("", "sensor")
    assert POWER in poll.message
    assert poll.message.endswith("sensor stands in")
    assert asked == [POWER, SYSTEM, SENSOR]
    bench.failing.clear()
    bench.documents[POWER] = control(201)
    poll, asked = await bench.poll()
    assert (values(poll), poll.message, asked) == ([("power_control", 201.0)], "", [POWER])


async def test_what_stands_in_is_remembered_across_a_restart():
    """A collector that starts in the midst of a hiccup needs no walk either."""
    bench = Bench(tree(control(200), sensor=190))
    await bench.poll()
    again = Bench(tree(control(None), sensor=195), facts=json.loads(json.dumps(bench.facts)))
    poll, asked = await again.poll()
    assert (values(poll), asked) == ([("sensor", 195.0)], [POWER, SYSTEM, SENSOR])


@pytest.mark.parametrize(("state", "host"), [("Off", "off"), ("PoweringOn", "unknown")])
async def test_nothing_stands_in_while_the_host_need_not_draw_power(state, host):
    """Null is right then, poll after poll: it costs the host's state and nothing else."""
    bench = Bench(tree(control(200), sensor=190))
    await bench.poll()
    bench.documents.update({POWER: control(None), SYSTEM: {"Id": "1", "PowerState": state}})
    for _ in range(3):
        poll, asked = await bench.poll()
        assert (poll.readings, poll.error, poll.host) == ((), "no_reading", {None: host})
        assert asked == [POWER, SYSTEM]


async def test_a_host_of_unknowable_state_is_taken_for_on():
    """Where no resource tells the state, a null may be a hiccup."""
    bench = Bench(tree(control(200), sensor=190, state=None))
    await bench.poll()
    bench.documents[POWER] = control(None)
    poll, asked = await bench.poll()
    assert (values(poll), asked) == ([("sensor", 190.0)], [POWER, SENSOR])


async def test_a_source_that_stays_silent_is_replaced_beside_the_readings():
    """No poll is without value: another source stands in, becomes the plan, and the best comes back."""
    bench = Bench(tree(control(200), sensor=190))
    await bench.poll()
    bench.failing[POWER] = BROKEN[1]
    for _ in range(5):
        poll, asked = await bench.poll()
        assert (values(poll), asked) == ([("sensor", 190.0)], [POWER, SYSTEM, SENSOR])
    bench.clock.ahead_s = RETURN_S + 1
    polls = [await bench.poll() for _ in range(6)]
    assert [values(poll) for poll, _ in polls] == [[("sensor", 190.0)]] * 6
    # Three for the value, four for the renewal, the rest for what the BMC kept of the ten minutes before.
    assert max(len(asked) for _, asked in polls) <= 7 + len(HISTORIES)
    assert (polls[-1][1], polls[-1][0].message) == ([SENSOR], "")
    bench.failing.clear()
    bench.clock.ahead_s = 2 * RETURN_S + 2
    shown = [values((await bench.poll())[0]) for _ in range(6)]
    assert (shown[0], shown[-1]) == ([("sensor", 190.0)], [("power_control", 200.0)])


async def test_a_single_hiccup_leads_to_no_walk_however_old_the_plan():
    """Only the second poll in a row makes the plan doubtful."""
    bench = Bench(tree(control(200), sensor=190))
    await bench.poll()
    bench.clock.ahead_s = RETURN_S + 1
    for watts in (None, 200, None, 200):
        bench.documents[POWER] = control(watts)
        _, asked = await bench.poll()
        assert set(asked) <= {POWER, SYSTEM, SENSOR}


@pytest.mark.parametrize(("shown", "error"), [(None, "no_reading"), ({"Reading": 200}, "data")])
async def test_without_a_stand_in_the_second_silent_poll_looks_around(shown, error):
    """And finds what was not there before, be its value gone or of another type now."""
    bench = Bench(tree(control(200)))
    await bench.poll()
    bench.documents.update(tree(control(shown), sensor=190))
    poll, asked = await bench.poll()
    assert (poll.readings, poll.error, asked) == ((), error, [POWER, SYSTEM])
    poll, _ = await bench.poll()
    assert (values(poll), poll.error) == ([("sensor", 190.0)], "")


@pytest.mark.parametrize(("other", "stands_in"), [(200 / AGREES, True), (90, False), (755, False)])
async def test_what_shows_another_power_stands_in_for_nothing(other, stands_in):
    """One of two supplies, or the supplies of an enclosure: such a view is never taken, not for one poll."""
    bench = Bench(tree(control(200), sensor=other))
    await bench.poll()
    bench.documents[POWER] = control(None)
    poll, _ = await bench.poll()
    assert values(poll) == ([("sensor", other)] if stands_in else [])


async def test_a_value_of_the_same_resource_serves_for_null_and_another_one_for_a_broken_body():
    """A vendor's total beside PowerControl costs no request; when their resource breaks both are gone."""
    vendors = {"Oem": {"Public": {"TotalPower": 198}}}
    bench = Bench(tree(control(200) | vendors, environment={"PowerWatts": {"Reading": 195}}))
    await bench.poll()
    bench.documents[POWER] = control(None) | vendors
    poll, asked = await bench.poll()
    assert (values(poll), asked) == ([("oem", 198.0)], [POWER, SYSTEM])
    bench.failing[POWER] = BROKEN[0]
    poll, asked = await bench.poll()
    assert (values(poll), asked) == ([("environment_metrics", 195.0)], [POWER, SYSTEM, ENVIRONMENT])


async def test_each_node_has_its_own_stand_in():
    """What one node lacks is not taken from the other, and series stay what they are."""
    bench = Bench(two_nodes())
    await bench.poll()
    bench.documents[f"{ROOT}/Chassis/A/Power"] = control(None)
    poll, _ = await bench.poll()
    assert [(one.node, one.scope, one.part, one.source, one.watts) for one in poll.readings] == [
        ("A", "server", None, "environment_metrics", 293.0),
        ("B", "server", None, "power_control", 500.0),
    ]


async def test_a_counter_of_another_resource_is_not_written_into_the_series():
    """The counter beside what stands in may be any other: a jump would look like energy."""
    energy = {"PowerWatts": {"Reading": 195}, "EnergykWh": {"Reading": 3.0}}
    bench = Bench(tree(control(200), environment=energy))
    poll, _ = await bench.poll()
    assert poll.readings[0].energy_counter_j == pytest.approx(3.0 * 3.6e6)
    bench.facts["redfish"]["plan"]["totals"][0]["counter"] = None
    again = Bench(tree(control(None), environment=energy), facts=json.loads(json.dumps(bench.facts)))
    poll, _ = await again.poll()
    assert (poll.readings[0].watts, poll.readings[0].energy_counter_j) == (195.0, None)


async def test_what_stands_in_sets_neither_pace_nor_description():
    """Its declared period is that of its readings, not of the server."""
    bench = Bench(tree(control(200), sensor=190))
    bench.documents[SENSOR]["SensingInterval"] = "PT60S"
    findings = Findings({})
    findings.learn((await bench.poll())[0])
    bench.documents[POWER] = control(None)
    poll, _ = await bench.poll()
    findings.learn(poll)
    assert (poll.readings[0].refresh_s, poll.info, findings.refresh_s) == (60.0, None, None)


@pytest.mark.parametrize("failure", ["hangs", "breaks off"])
async def test_what_only_stands_in_costs_neither_the_plan_nor_a_poll(failure, monkeypatch):
    """A resource that hangs or breaks off: the first poll reads the total, a silent one ends in time."""
    monkeypatch.setattr(stand_in, "STAND_IN_LIMIT_S", 0.05)
    monkeypatch.setattr(totals, "STAND_IN_LIMIT_S", 0.05)
    broken_off = BmcUnreachableError("the connection broke", reason="unreachable")
    bench, new = (Bench(tree(control(200), sensor=190)) for _ in range(2))
    await bench.poll()
    for one in (bench, new):
        one.hanging = {SENSOR} if failure == "hangs" else set()
        one.failing = {} if failure == "hangs" else {SENSOR: broken_off}
    assert values((await new.poll())[0]) == [("power_control", 200.0)]
    bench.documents[POWER] = control(None)
    poll, asked = await bench.poll()
    assert (poll.readings, poll.error, asked) == ((), "no_reading", [POWER, SYSTEM, SENSOR])


@pytest.mark.parametrize("status", [503, 500])
async def test_a_stand_in_that_fails_too_leaves_the_first_reason(status):
    """A BMC that asks to be left alone for the second resource still said what was wrong with the first."""
    bench = Bench(tree(control(200), sensor=190))
    await bench.poll()
    bench.failing = {POWER: BROKEN[0], SENSOR: HttpStatusError(f"GET {SENSOR}: HTTP {status}", status=status)}
    poll, _ = await bench.poll()
    assert (poll.readings, poll.error, poll.message) == ((), "data", str(BROKEN[0]))


async def test_a_bmc_that_asks_for_time_when_something_is_to_stand_in_gets_it():
    """Its own source is asked for as ever; neither the other one nor a walk is tried before that time."""
    bench = Bench(tree(control(200), sensor=190))
    await bench.poll()
    busy = HttpStatusError(f"GET {SENSOR}: HTTP 503", status=503, retry_after_s=30.0)
    bench.failing = {POWER: BROKEN[1], SENSOR: busy}
    for expected in (POWER, SYSTEM, SENSOR), (POWER, SYSTEM), (POWER, SYSTEM):
        poll, asked = await bench.poll()
        assert (poll.readings, poll.message, tuple(asked)) == ((), str(BROKEN[1]), expected)
    bench.clock.ahead_s += 31
    bench.failing = {POWER: BROKEN[1]}
    assert values((await bench.poll())[0]) == [("sensor", 190.0)]


async def test_a_refused_log_in_is_never_passed_over():
    """Not even for a source that only stands in."""
    bench = Bench(tree(control(200), sensor=190))
    await bench.poll()
    bench.failing = {POWER: BROKEN[0], SENSOR: BmcAuthError("refused", reason="auth")}
    with pytest.raises(BmcAuthError):
        await bench.poll()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_what_stands_in_on_known_bmcs_agrees_with_their_total(case):
    """Whatever the ladder offers below the total: nothing that differs by more than losses and windows."""
    bench = Bench(json.loads(case.read_text(encoding="utf-8")))
    first, _ = asyncio.run(bench.poll())
    for total in bench.reader._planner.plan.totals:
        own = next((one.watts for one in first.readings if one.node == total.node and one.part is None), None)
        for place in total.stand_ins:
            assert place != total.place
            watts = asyncio.run(_watts_at(bench, total, place))
            assert own / AGREES <= watts <= own * AGREES


async def _watts_at(bench, total, place):
    """Return what a place of a plan shows, read as in a poll."""
    found = Totals(bench, time.time_ns, bench.reader._planner.plan.effects, {}, MeterMemory({}))
    await found.ask(place.paths)
    return found.take(total, place)[0].candidate.watts
