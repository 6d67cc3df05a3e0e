"""The iLO reader on simulated iLOs: each record once, with its own time, through outages and wrong clocks."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from energyrecorder.errors import BmcError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients, HttpStatusError
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.ilo import IloReader, discover
from energyrecorder_execd.readers.ilo.reader import RENEWAL_S, RETURN_S
from support.bmcsim import simulated
from support.fake_http import FakeHttp
from support.readers import Clock, reading, target

GENERATIONS = ["ilo4-2.10", "ilo4-2.40", "ilo5"]
NOW_S = 1_700_000_000
METER = "/redfish/v1/Chassis/1/Power/FastPowerMeter"
TARGET = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))


def _bmc(generation):
    return (
        f'[[bmc]]\nid = "b"\nprotocol = "{generation}"\nscheme = "http"\n'
        'power = { formula = "300 + 100*sin(t/7)" }\n'
    )


def _stamp(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tree(seconds, watts=lambda s: 100 + s % 50, state="On"):
    """Return an iLO 5 whose meter has records at these times."""

    def ref(path):
        return {"@odata.id": path}

    parts = {"CpuWatts": 40, "DimmWatts": 12, "GpuWatts": 0, "AmbTemp": 21}
    details = [{"Time": _stamp(s), "Average": watts(s), "Minimum": 1, "Peak": 999, **parts} for s in seconds]
    return {
        "/redfish/v1": {key: ref(f"/redfish/v1/{key}") for key in ("Chassis", "Systems")},
        "/redfish/v1/Chassis": {"Members": [ref("/redfish/v1/Chassis/1")]},
        "/redfish/v1/Chassis/1": {"Power": ref("/redfish/v1/Chassis/1/Power")},
        "/redfish/v1/Chassis/1/Power": {"Oem": {"Hpe": {"Links": {"FastPowerMeter": ref(METER)}}}},
        METER: {"PowerDetail": details},
        "/redfish/v1/Systems": {"Members": [ref("/redfish/v1/Systems/1")]},
        "/redfish/v1/Systems/1": {"PowerState": state},
    }


class Bench:
    """A reader of documents that the test changes, and a wall clock that it moves."""

    def __init__(self, now_s=NOW_S, ahead_s=0, facts=None, options=None):
        self.now_s, self.ahead_s = now_s, ahead_s
        self.facts = {} if facts is None else facts
        self.http = FakeHttp({})
        self.failing, self.hanging = set(), set()
        self.reader = IloReader(
            replace(TARGET, options=options or {}),
            Context(Memory(self.facts), lambda: int(self.now_s * 1e9)),
            HttpClients(),
        )
        self.reader._http = self.http

    def ring(self, count=120, **more):
        """Give the meter its last records by its own clock, which is ``ahead_s`` ahead."""
        newest = int(self.now_s) // 10 * 10
        tree = _tree([newest - 10 * i + self.ahead_s for i in range(count)], **more)
        self.http.documents = {path.rstrip("/"): body for path, body in tree.items()}

    async def poll(self, *, seconds=0.0):
        self.now_s += seconds
        now_ns = int(self.now_s * 1e9)
        bench_get = FakeHttp.get

        async def get(path, *, anonymous=False):
            answer = await bench_get(self.http, path, anonymous=anonymous)
            if path in self.hanging:
                await asyncio.Event().wait()
            if path in self.failing:
                raise HttpStatusError(f"GET {path}: HTTP 500", status=500)
            date_s = None if self.ahead_s is None else float(int(self.now_s + self.ahead_s))
            return type(answer)(answer.path, answer.document, now_ns, now_ns, date_s)

        self.http.get = get
        return await self.reader.poll()


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_each_generation_gives_its_newest_record(tmp_path, generation):
    """Whatever path and order; afterwards one request per poll, and nothing twice."""
    async with simulated(tmp_path, _bmc(generation)) as sim, reading(IloReader, target(sim, "b")) as reader:
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


@pytest.mark.parametrize("ahead_s", [3600, -3600, 86400 * 365, -NOW_S + 600])
async def test_a_wrong_clock_is_taken_out(ahead_s):
    """An hour, a year, or 1970: the reading's time is ours, also after the clock was set right."""
    bench = Bench(ahead_s=ahead_s)
    bench.ring(count=20)
    (newest,) = (await bench.poll()).readings
    assert abs(newest.sampled_at_ns / 1e9 - NOW_S // 10 * 10) <= 1
    assert bench.facts["ilo"]["offset_s"] == pytest.approx(ahead_s, abs=1)
    bench.ahead_s = 0
    bench.now_s += 10
    bench.ring(count=20)
    readings = (await bench.poll()).readings
    assert abs(readings[-1].sampled_at_ns / 1e9 - bench.now_s // 10 * 10) <= 1


async def test_a_clock_a_little_off_is_left_alone():
    """Up to two seconds are no offset."""
    bench = Bench(ahead_s=1)
    bench.ring()
    await bench.poll()
    assert bench.facts["ilo"]["offset_s"] == 0


async def test_without_a_date_header_the_managers_clock_counts():
    """One more request then."""
    bench = Bench(ahead_s=0)
    bench.ring()
    bench.http.documents["/redfish/v1"]["Managers"] = {"@odata.id": "/redfish/v1/Managers"}
    bench.http.documents["/redfish/v1/Managers"] = {"Members": [{"@odata.id": "/redfish/v1/Managers/1"}]}
    bench.http.documents["/redfish/v1/Managers/1"] = {"DateTime": _stamp(NOW_S + 120)}
    bench.ahead_s = None
    await bench.poll()
    assert bench.facts["ilo"]["offset_s"] == 120


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
    for documents in ({}, {"/redfish/v1": {}}, {k: v for k, v in _tree([NOW_S]).items() if k != METER}):
        bench = Bench()
        bench.http.documents = documents
        with pytest.raises(BmcError) as refused:
            await bench.poll()
        assert refused.value.reason == "unsupported"


async def test_a_clock_fault_of_the_simulator_does_not_show(tmp_path):
    """The simulated iLO's clock jumps an hour ahead: times stay ours, no record comes twice."""
    async with simulated(tmp_path, _bmc("ilo5")) as sim, reading(IloReader, target(sim, "b")) as reader:
        first = await reader.poll()
        await sim.order("/fault", {"server": "b", "kind": "clock_skew", "skew_s": 3600, "for_s": 600})
        second = await reader.poll()
        for poll in (first, second):
            for item in poll.readings:
                assert -3 < time.time() - item.sampled_at_ns / 1e9 < 60
        times = [item.sampled_at_ns for poll in (first, second) for item in poll.readings]
        assert len(set(times)) == len(times)


async def test_a_clock_that_is_set_right_brings_nothing_out_again(tmp_path):
    """After a restart in 1970 the ring holds records of both times; those before it were written out then."""
    facts = {}
    async with simulated(tmp_path, _bmc("ilo5")) as sim:
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            (known,) = (await reader.poll()).readings
        # As after the last record of the time in which its clock was 50 years behind.
        behind_s = 50 * 365 * 86400
        facts["ilo"].update(
            last=_stamp(known.sampled_at_ns / 1e9 - behind_s), last_offset_s=-behind_s, offset_s=-behind_s
        )
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            poll = await reader.poll()
        assert all(item.sampled_at_ns > known.sampled_at_ns for item in poll.readings)
        assert "hole" not in facts["ilo"]


async def test_a_cancelled_poll_leaves_the_reader_usable(tmp_path):
    """The deadline of the loop is a cancellation."""
    slow = _bmc("ilo5") + 'faults = [{ kind = "slow", delay_s = 0.3, path = "*FastPowerMeter", count = 1 }]\n'
    clock = Clock()
    async with (
        simulated(tmp_path, slow) as sim,
        reading(IloReader, target(sim, "b"), clock=clock) as reader,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.poll(), 0.15)
        assert (await reader.poll()).readings
