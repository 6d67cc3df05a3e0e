"""The iLO reader on simulated iLOs: each record once, with its own time, through outages."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.ilo import IloReader, discover
from energyrecorder_execd.readers.ilo.reader import RENEWAL_S, RETURN_S
from support.bmcsim import simulated
from support.ilo_bench import METER, NOW_S, Bench, bmc, tree
from support.readers import Clock, reading, target

GENERATIONS = ["ilo4-2.10", "ilo4-2.40", "ilo5"]


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_each_generation_gives_its_newest_record(tmp_path, generation):
    """Whatever path and order; afterwards one request per poll, and nothing twice."""
    async with simulated(tmp_path, bmc(generation)) as sim, reading(IloReader, target(sim, "b")) as reader:
        begun_s = time.time()
        poll = await reader.poll()
        (newest,) = poll.readings
        assert (newest.clock, newest.source, newest.window_s, newest.refresh_s) == (
            "bmc",
            "ilo_fast_meter",
            10.0,
            10.0,
        )
        assert begun_s - 13 < newest.sampled_at_ns / 1e9 < time.time() + 3
        truth = await sim.ask(
            "/truth",
            server="b",
            **{"from": newest.sampled_at_ns - 10 * 10**9, "to": newest.sampled_at_ns},
        )
        assert newest.watts == pytest.approx(truth["mean_w"], abs=1.0)
        assert poll.host == {None: "on"}
        poll = await reader.poll()
        assert (poll.error, poll.requests) == ("", 1)
        assert len(poll.readings) <= 1


async def test_every_record_comes_out_once_and_late_ones_are_marked():
    """Polls at any distance; a restart in between changes nothing."""
    bench = Bench()
    bench.ring()
    times, marked, steps_w = [], [], []
    for pause_s in (5, 5, 5, 12, 10, 45, 600, 5, 5):
        bench.ring(watts=lambda s: 100 + s // 5 % 100)
        poll = await bench.poll()
        assert poll.error == ""
        times += [reading.sampled_at_ns // 10**9 for reading in poll.readings]
        marked += [reading.backfill for reading in poll.readings]
        steps_w += [reading.quantum_w for reading in poll.readings]
        bench.now_s += pause_s
        if pause_s == 45:
            facts = json.loads(json.dumps(bench.facts))
            bench = Bench(bench.now_s, facts=facts)
    assert times == list(range(times[0], times[-1] + 1, 10))
    assert sum(marked) > 50
    assert not marked[0]
    assert not marked[-1]
    assert (steps_w[0], steps_w[-1]) == (None, 2.0)


async def test_parts_are_series_of_their_own_when_wanted():
    """CPUs and memory of each record, with its time; a part that is not metered shows 0 and is none."""
    bench = Bench(options={"components": True})
    bench.ring()
    await bench.poll()
    bench.now_s += 20
    bench.ring()
    poll = await bench.poll()
    totals = [r for r in poll.readings if r.scope == "server"]
    parts = [r for r in poll.readings if r.scope == "component"]
    assert len(totals) == 2
    expected = [("cpu", 40.0), ("memory", 12.0)]
    assert {(r.part, r.watts, r.sampled_at_ns) for r in parts} == {
        (*part, total.sampled_at_ns) for total in totals for part in expected
    }


async def test_the_inlet_temperature_is_told_when_it_changes():
    """It comes with the records, at no request."""
    bench = Bench()
    bench.ring()
    assert (await bench.poll()).info.inlet_c == 21.0
    bench.now_s += 10
    bench.ring()
    assert (await bench.poll()).info is None
    assert "inlet_c" not in bench.facts["ilo"]["info"]


async def test_zero_while_the_host_is_on_is_no_reading():
    """While it is off it is one."""
    bench = Bench()
    bench.ring(watts=lambda _: 0)
    poll = await bench.poll()
    assert (poll.error, poll.readings, poll.host) == ("no_reading", (), {None: "on"})
    assert METER in poll.message
    bench.now_s += 10
    bench.ring(watts=lambda _: 0, state="Off")
    poll = await bench.poll()
    assert (poll.error, poll.readings[0].watts, poll.host) == ("", 0.0, {None: "off"})


async def test_a_meter_that_stopped_says_so():
    """No new record for a minute is no reading; before that it is just not time yet."""
    bench = Bench()
    bench.ring()
    assert (await bench.poll()).error == ""
    assert (await bench.poll(seconds=30)).error == ""
    poll = await bench.poll(seconds=60)
    assert (poll.error, poll.readings) == ("no_reading", ())
    assert "no record for 90 s" in poll.message


async def test_another_firmware_keeps_the_meter_elsewhere():
    """404 at the remembered path leads to a new search; the records go on where they were."""
    bench = Bench()
    bench.ring()
    await bench.poll()
    bench.now_s += 10
    bench.ring()
    elsewhere = "/redfish/v1/Chassis/1/Oem/FastPowerMeter"
    bench.http.documents[elsewhere] = bench.http.documents.pop(METER)
    power = bench.http.documents["/redfish/v1/Chassis/1/Power"]
    power["Oem"]["Hpe"]["Links"]["FastPowerMeter"] = {"@odata.id": elsewhere}
    poll = await bench.poll()
    assert len(poll.readings) == 1
    assert bench.facts["ilo"]["meter"] == elsewhere


async def test_new_firmware_and_a_new_cap_are_noticed():
    """After hours, or soon after the iLO was away; the record of that poll comes out all the same."""
    bench = Bench()
    bench.ring()
    await bench.poll()
    bench.now_s += RETURN_S
    bench.ring()
    bench.http.documents.clear()
    with pytest.raises(BmcError):
        await bench.poll()
    bench.ring()
    bench.http.documents["/redfish/v1/Systems/1"]["BiosVersion"] = "U99"
    power = bench.http.documents["/redfish/v1/Chassis/1/Power"]
    power["PowerControl"] = [{"PowerLimit": {"LimitInWatts": 400}}]
    power["PowerSupplies"] = [{"Status": {"State": "Enabled"}}, {"Status": {"State": "Absent"}}]
    poll = await bench.poll()
    assert (poll.info.bios, poll.info.power_cap_w, poll.info.psu_count) == ("U99", 400.0, 1)
    assert poll.info.inlet_c == 21.0
    assert poll.error == ""
    assert len(poll.readings) > 1
    bench.http.asked.clear()
    await bench.poll(seconds=10)
    assert len(bench.http.asked) == 1


@pytest.mark.parametrize(("away_s", "bios"), [(RETURN_S - 60, None), (RETURN_S, "U99")])
async def test_a_collector_that_was_away_for_long_looks_at_the_server_again(away_s, bios):
    """New firmware may have come meanwhile; once looked, there is one request per poll."""
    before = Bench()
    before.ring()
    await before.poll()
    bench = Bench(now_s=NOW_S + away_s, facts=json.loads(json.dumps(before.facts)))
    bench.ring()
    bench.http.documents["/redfish/v1/Systems/1"]["BiosVersion"] = "U99"
    poll = await bench.poll()
    assert (poll.info.bios, poll.error, len(poll.readings) > 1) == (bios, "", True)
    bench.http.asked.clear()
    await bench.poll(seconds=10)
    assert len(bench.http.asked) == 1


@pytest.mark.parametrize(
    ("chassis", "model", "watts"),
    [
        ({"ChassisType": "RackMount"}, "ProLiant DL360 Gen10", 1600.0),
        ({"ChassisType": "Blade"}, "ProLiant BL460c Gen10", None),
        ({"Links": {"ContainedBy": {"@odata.id": "/redfish/v1/Chassis/E"}}}, "ProLiant XL645d", None),
        ({"ChassisType": "RackMount"}, "ProLiant XL225n Gen10 Plus", None),
    ],
)
async def test_the_rating_of_the_supplies(chassis, model, watts):
    """Of a server's own ones alone: an enclosure's are there for other computers too."""
    bench = Bench()
    bench.ring()
    documents = bench.http.documents
    documents["/redfish/v1/Chassis/1"] |= chassis
    documents["/redfish/v1/Systems/1"] |= {"Manufacturer": "HPE", "Model": model}
    documents["/redfish/v1/Chassis/1/Power"]["PowerSupplies"] = [
        {"PowerCapacityWatts": 800, "Status": {"State": "Enabled"}},
        {"PowerCapacityWatts": 800, "Status": {"State": "Enabled"}},
        {"PowerCapacityWatts": 800, "Status": {"State": "Absent"}},
    ]
    info = (await bench.poll()).info
    assert (info.psu_count, info.psu_capacity_w) == (2, watts)


async def test_a_renewal_that_fails_costs_no_record():
    """Neither an error nor a hanging resource."""
    bench = Bench()
    bench.ring()
    await bench.poll()
    bench.now_s += RENEWAL_S + 10
    bench.ring()
    del bench.http.documents["/redfish/v1"]
    poll = await bench.poll()
    assert (poll.error, poll.readings[-1].watts > 0) == ("", True)
    bench.now_s += 10
    bench.ring()
    assert len((await bench.poll()).readings) == 1


@pytest.mark.parametrize("fault", ["failing", "hanging"])
async def test_what_only_describes_the_server_hides_no_meter(monkeypatch, fault):
    """It is looked for again ten minutes later; until then the state of the host is unknown."""
    monkeypatch.setattr(discover, "DESCRIPTION_LIMIT_S", 0.05)
    bench = Bench()
    bench.ring()
    setattr(bench, fault, {"/redfish/v1/Systems/1"})
    poll = await bench.poll()
    assert (poll.error, len(poll.readings), poll.host) == ("", 1, {None: "unknown"})
    getattr(bench, fault).clear()
    bench.now_s += RETURN_S + 10
    for host in ("unknown", "on"):
        bench.now_s += 10
        bench.ring()
        poll = await bench.poll()
        assert (poll.error, poll.host) == ("", {None: host})


async def test_a_bmc_without_a_meter_is_unsupported():
    """As is everything that is no iLO."""
    for documents in ({}, {"/redfish/v1": {}}, {k: v for k, v in tree([NOW_S]).items() if k != METER}):
        bench = Bench()
        bench.http.documents = documents
        with pytest.raises(BmcError) as refused:
            await bench.poll()
        assert refused.value.reason == "unsupported"


async def test_a_cancelled_poll_leaves_the_reader_usable(tmp_path):
    """The deadline of the loop is a cancellation."""
    slow = bmc("ilo5") + 'faults = [{ kind = "slow", delay_s = 0.3, path = "*FastPowerMeter", count = 1 }]\n'
    clock = Clock()
    async with (
        simulated(tmp_path, slow) as sim,
        reading(IloReader, target(sim, "b"), clock=clock) as reader,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.poll(), 0.15)
        assert (await reader.poll()).readings
