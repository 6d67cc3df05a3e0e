"""An iLO whose clock is wrong, or set: times are ours, each record comes once, and none is missing."""

from __future__ import annotations

import time

import pytest

from energyrecorder_execd.readers.ilo import IloReader
from support.bmcsim import simulated
from support.ilo_bench import METER, NOW_S, Bench, bmc, stamp
from support.readers import reading, target


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


@pytest.mark.parametrize("away_s", [10, 50, 1000])
async def test_an_ilo_that_restarts_in_1970_has_no_hole(away_s):
    """What it wrote since then comes once, by our clock; then it learns the time, and nothing comes again."""
    bench = Bench()
    bench.ring()
    begun_s = (await bench.poll()).readings[-1].sampled_at_ns // 10**9
    old = list(bench.http.documents[METER]["PowerDetail"])
    bench.ahead_s = -NOW_S + 60
    bench.now_s += away_s
    bench.ring(count=away_s // 10)
    bench.http.documents[METER]["PowerDetail"] += old
    came = [*(await bench.poll()).readings, *(await bench.poll(seconds=1)).readings]
    assert "hole" not in bench.facts["ilo"]
    bench.ahead_s = 0
    bench.now_s += 10
    bench.ring()
    came += (await bench.poll()).readings
    times = [item.sampled_at_ns / 1e9 for item in came]
    assert len(times) == away_s // 10 + 1
    assert times == pytest.approx([begun_s + 10 * number for number in range(1, len(times) + 1)], abs=1)


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
    bench.http.documents["/redfish/v1/Managers/1"] = {"DateTime": stamp(NOW_S + 120)}
    bench.ahead_s = None
    await bench.poll()
    assert bench.facts["ilo"]["offset_s"] == 120


async def test_a_clock_fault_of_the_simulator_does_not_show(tmp_path):
    """The simulated iLO's clock jumps an hour ahead: times stay ours, no record comes twice."""
    async with simulated(tmp_path, bmc("ilo5")) as sim, reading(IloReader, target(sim, "b")) as reader:
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
    async with simulated(tmp_path, bmc("ilo5")) as sim:
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            (known,) = (await reader.poll()).readings
        # As after the last record of the time in which its clock was 50 years behind.
        behind_s = 50 * 365 * 86400
        facts["ilo"].update(
            last=stamp(known.sampled_at_ns / 1e9 - behind_s), last_offset_s=-behind_s, offset_s=-behind_s
        )
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            poll = await reader.poll()
        assert all(item.sampled_at_ns > known.sampled_at_ns for item in poll.readings)
        assert "hole" not in facts["ilo"]
