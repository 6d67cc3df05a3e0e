"""iLO power meters: paths, order and movement of the rings per generation."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import replace

import pytest

from energyrecorder_bmcsim.faults import Fault, FaultPlan
from energyrecorder_bmcsim.ilo.meter import RINGS
from energyrecorder_bmcsim.live import LiveBmc
from energyrecorder_bmcsim.power import NS_PER_S, PowerTimeline, Steps
from energyrecorder_bmcsim.redfish.ring import RingResource
from energyrecorder_bmcsim.sensor import Sensor, SensorModel
from support.bmcsim import basic, simulated

START_NS = 1_800_000_000 * NS_PER_S
GENERATIONS = {
    "ilo4-2.10": (
        "/rest/v1/Chassis/1/PowerMetrics/FastPowerMeter",
        "/rest/v1/Chassis/1/Power/FastPowerMeter",
        -1,
    ),
    "ilo4-2.40": (
        "/rest/v1/Chassis/1/Power/FastPowerMeter",
        "/rest/v1/Chassis/1/PowerMetrics/FastPowerMeter",
        1,
    ),
    "ilo5": ("/redfish/v1/Chassis/1/Power/FastPowerMeter", "/rest/v1/Chassis/1/Power/FastPowerMeter", 1),
}


def live_bmc(steps=((0, 200), (60, 400)), *faults, **model):
    timeline = PowerTimeline(Steps(*zip(*steps, strict=True)), start_ns=START_NS)
    sensor = Sensor(SensorModel(**model), timeline, start_ns=START_NS, phase_s=0)
    return LiveBmc(timeline, sensor, FaultPlan(faults), start_ns=START_NS, ring_phase_s=7)


def at(second):
    return START_NS + round(second * NS_PER_S)


def seconds(record):
    return (record.end_ns - START_NS) / NS_PER_S


def test_records_lie_back_to_back_and_hold_the_mean_of_their_window():
    records = live_bmc().records(at(90), 10, 120)
    assert len(records) == 120
    assert [seconds(record) for record in records[-3:]] == [67, 77, 87]
    # The window from 57 to 67 s holds 3 s of 200 W and 7 s of 400 W.
    assert [record.average_w for record in records[-4:]] == [200, 340, 400, 400]
    assert records[-3].peak_w == 400


def test_a_ring_moves_and_a_record_once_written_stays():
    subject = live_bmc()
    before = subject.records(at(70), 10, 120)
    assert subject.records(at(76.9), 10, 120) == before
    after = subject.records(at(77), 10, 120)
    assert after[:-1] == before[1:]
    assert seconds(after[-1]) == 77


def test_a_reboot_begun_later_shows_in_later_records_only():
    subject = live_bmc(((0, 300),))
    before = subject.records(at(70), 10, 120)
    subject.reboot(at(70), off_s=7, standby_w=10)
    after = subject.records(at(77), 10, 120)
    assert after[:-1] == before[1:]
    assert after[-1].average_w == 97  # 3 s of 300 W, 7 s of 10 W


@pytest.mark.parametrize(("newest_first", "newest"), [(True, 0), (False, -1)])
def test_order_of_a_meter(newest_first, newest):
    subject = live_bmc()
    ring = replace(RINGS["/FastPowerMeter"], newest_first=newest_first)
    meter = RingResource({"Id": "x", "PowerDetail": [{"AmbTemp": 21}]}, ring, subject)
    body = meter.render(subject.view(at(90)))
    details = json.loads(body)["PowerDetail"]
    assert details[newest]["Time"] == max(detail["Time"] for detail in details)
    assert details[newest] == {
        "AmbTemp": 21,
        "Average": 400,
        "Minimum": 400,
        "Peak": 400,
        "Time": "2027-01-15T08:01:27Z",
    }


def test_a_clock_that_goes_wrong_leaves_older_records_as_they_were():
    skew = Fault("clock_skew", at(80), options={"skew_s": -3600.0})
    subject = live_bmc(((0, 200),), skew)
    clocks = [subject.clock_ns(record.end_ns) - record.end_ns for record in subject.records(at(90), 10, 2)]
    assert clocks == [0, -3600 * NS_PER_S]


@pytest.mark.parametrize("protocol", GENERATIONS)
async def test_paths_and_order_of_each_generation(tmp_path, protocol):
    path, other, order = GENERATIONS[protocol]
    table = f'[[bmc]]\nid = "a"\nprotocol = "{protocol}"\npower = {{ constant_w = 321 }}\n'
    async with simulated(tmp_path, table) as sim:
        begun_s = time.time()
        meter = await sim.get("a", path)
        times = [detail["Time"] for detail in meter["PowerDetail"]][::order]
        assert times == sorted(times)
        assert len(times) == 120
        assert meter["Average"] == 321
        newest = dt.datetime.fromisoformat(times[-1]).timestamp()
        assert begun_s - 11 <= newest <= time.time()
        async with sim.client.get(sim.url("a", other), headers=basic()) as answer:
            assert answer.status == 404
            assert "PowerDetail" not in await answer.json()


async def test_power_resource_follows_the_sensor_and_links_to_the_meters(tmp_path):
    table = '[[bmc]]\nid = "a"\nprotocol = "ilo5"\npower = { constant_w = 321 }\n'
    async with simulated(tmp_path, table) as sim:
        power = await sim.get("a", "/redfish/v1/Chassis/1/Power/")
        assert power["PowerControl"][0]["PowerConsumedWatts"] == 321
        links = power["Oem"]["Hpe"]["Links"]
        for name, ring in RINGS.items():
            meter = await sim.get("a", links[name.strip("/")]["@odata.id"])
            assert len(meter["PowerDetail"]) == ring.count
