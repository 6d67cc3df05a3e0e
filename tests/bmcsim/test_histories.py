"""What a simulated BMC keeps of its power, as Lenovo's TSM and Supermicro show it."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from energyrecorder_bmcsim.faults import Fault, FaultPlan
from energyrecorder_bmcsim.live import LiveBmc
from energyrecorder_bmcsim.payload import Payload
from energyrecorder_bmcsim.power import NS_PER_S, PowerTimeline, Steps
from energyrecorder_bmcsim.redfish.history import HISTORIES
from energyrecorder_bmcsim.redfish.ring import ring_resources
from energyrecorder_bmcsim.sensor import Sensor, SensorModel

START_NS = 1_800_000_000 * NS_PER_S
TSM = "/redfish/v1/Chassis/Self/Power/Oem/Lenovo/HistoryPowerMeter/PsuAC"
HOUR = "/redfish/v1/TelemetryService/MetricReports/AvgPowerConsumptionHour"
OF_THE_TOTAL = {"MetricProperty": "/redfish/v1/Chassis/1/Power#/PowerControl/0"}
PAYLOAD = Payload(
    {
        TSM: b'{"Id": "psu", "historyPower": []}',
        HOUR: json.dumps({"Id": "hour", "MetricValues": [OF_THE_TOTAL, {}]}).encode(),
        "/redfish/v1/Chassis/Self/Power": b"{}",
    }
)


def at(second):
    return START_NS + round(second * NS_PER_S)


def live_bmc(*faults):
    timeline = PowerTimeline(Steps([0, 60, 120], [200, 400, 300]), start_ns=START_NS)
    sensor = Sensor(SensorModel(), timeline, start_ns=START_NS, phase_s=0)
    return LiveBmc(timeline, sensor, FaultPlan(faults), start_ns=START_NS, ring_phase_s=15)


def shown(live, path, second):
    resource = ring_resources(PAYLOAD, HISTORIES, live)[path]
    return json.loads(resource.render(live.view(at(second))))


def test_only_what_keeps_records_moves():
    """The resource that a history belongs to stays as it was captured."""
    assert set(ring_resources(PAYLOAD, HISTORIES, live_bmc())) == {TSM, HOUR}


def test_a_tsm_shows_half_minutes_as_texts_in_local_time_oldest_first():
    """The window from 45 to 75 s holds 15 s of 200 W and 15 s of 400 W."""
    body = shown(live_bmc(), TSM, 100)
    assert body["Id"] == "psu"
    assert len(body["historyPower"]) == 240
    newest = dt.datetime.fromisoformat(body["historyPower"][-1]["timeStamp"])
    assert newest == dt.datetime(2027, 1, 15, 10, 1, 15)  # noqa: DTZ001  # as the BMC writes it: without a zone
    watts = [[one[key] for key in ("minPower", "avgPower", "maxPower")] for one in body["historyPower"]]
    assert watts[-2:] == [["200", "200", "200"], ["200", "300", "400"]]
    assert shown(live_bmc(), TSM, 104)["historyPower"] == body["historyPower"]
    assert shown(live_bmc(), TSM, 105)["historyPower"][:-1] == body["historyPower"][1:]


def test_supermicro_shows_an_hour_of_the_total_newest_first():
    """The window from 15 to 315 s holds 45 s of 200 W, 60 s of 400 W and 195 s of 300 W."""
    values = shown(live_bmc(), HOUR, 320)["MetricValues"]
    assert len(values) == 12
    newest = {"MetricValue": "305", "Timestamp": "2027-01-15T08:05:15+00:00", **OF_THE_TOTAL}
    assert values[0] == newest
    assert values[1] == newest | {"MetricValue": "200", "Timestamp": "2027-01-15T08:00:15+00:00"}


@pytest.mark.parametrize(("path", "name"), [(TSM, "historyPower"), (HOUR, "MetricValues")])
def test_faults_show_in_a_history(path, name):
    """A time of readings of 0 in its records, a BMC without readings in the whole."""
    zero = live_bmc(Fault("zero", at(150), at(400)))
    shares = {one.get("avgPower", one.get("MetricValue")) for one in shown(zero, path, 320)[name]}
    assert "0" in shares
    assert len(shares) > 1
    assert shown(live_bmc(Fault("null", at(300))), path, 320)[name] is None
