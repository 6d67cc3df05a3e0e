"""An iLO's power meter as the last rung of Redfish: each record once, with its own time, or none."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from energyrecorder.errors import BmcError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from support.bmcsim import simulated
from support.fake_http import FakeHttp
from support.readers import reading, target

TARGET = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))
NOW_S = 1_700_000_000
ROOT = "/redfish/v1"
CHASSIS, SYSTEM = f"{ROOT}/Chassis/1", f"{ROOT}/Systems/1"
POWER = f"{CHASSIS}/Power"
METER = f"{POWER}/FastPowerMeter"


def _ref(path):
    return {"@odata.id": path}


def _tree(records, vendor="Hpe"):
    """Return an iLO that shows its power by its meter alone; records are times and watts."""
    details = [
        {
            "Time": f"{datetime.fromtimestamp(s, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "Average": w,
            "Minimum": 1,
            "Peak": 999,
        }
        for s, w in records
    ]
    return {
        ROOT: {key: _ref(f"{ROOT}/{key}") for key in ("Chassis", "Systems")},
        f"{ROOT}/Chassis": {"Members": [_ref(CHASSIS)]},
        f"{ROOT}/Systems": {"Members": [_ref(SYSTEM)]},
        CHASSIS: {"Id": "1", "Power": _ref(POWER), "Links": {"ComputerSystems": [_ref(SYSTEM)]}},
        SYSTEM: {"Id": "1", "PowerState": "On"},
        POWER: {"PowerControl": [], "Oem": {vendor: {"Links": {"FastPowerMeter": _ref(METER)}}}},
        METER: {"PowerDetail": details},
    }


class Bench:
    """A reader, and an iLO whose clock is ``ahead_s`` ahead of ours; None: it tells no time."""

    def __init__(self, ahead_s=0, facts=None, vendor="Hpe"):
        self.now_s, self.ahead_s, self.vendor = NOW_S, ahead_s, vendor
        self.facts = {} if facts is None else facts
        self.http = FakeHttp({})
        context = Context(Memory(self.facts), lambda: int(self.now_s * 1e9))
        self.reader = RedfishReader(TARGET, context, HttpClients())
        self.reader._http = self
        self.offer_sessions = self.http.offer_sessions

    @property
    def requests(self):
        return self.http.requests

    def ring(self, watts=lambda s: 100 + s % 70, *, until_s=None):
        """Give the meter its last records by its own clock, the newest first as old firmware does."""
        newest = (self.now_s if until_s is None else until_s) // 10 * 10
        times = [newest - 10 * i for i in range(12)]
        tree = _tree([(s + (self.ahead_s or 0), watts(s)) for s in times], self.vendor)
        self.http.documents.update(tree)

    async def get(self, path, *, anonymous=False):
        answer = await self.http.get(path, anonymous=anonymous)
        now_ns = int(self.now_s * 1e9)
        date_s = None if self.ahead_s is None else float(self.now_s + self.ahead_s)
        return type(answer)(answer.path, answer.document, now_ns, now_ns, date_s)

    async def poll(self, *, after_s=0):
        self.now_s += after_s
        self.http.asked.clear()
        return await self.reader.poll()


@pytest.mark.parametrize("ahead_s", [0, 1, 3600, -7200])
@pytest.mark.parametrize("vendor", ["Hpe", "Hp"])
async def test_the_newest_record_comes_out_once_with_its_own_time(ahead_s, vendor):
    """Whatever the iLO's clock says; a poll between two records is well and has nothing to say."""
    bench = Bench(ahead_s, vendor=vendor)
    bench.ring()
    # An offset of up to 2 s is none.
    shown_s = NOW_S + (ahead_s if abs(ahead_s) <= 2 else 0)
    (first,) = (await bench.poll()).readings
    assert (first.sampled_at_ns, first.clock) == (shown_s * 10**9, "bmc")
    assert (first.watts, first.min_w, first.max_w) == (100 + NOW_S % 70, 1.0, 999.0)
    assert (first.source, first.window_s, first.refresh_s, first.backfill) == (
        "ilo_fast_meter",
        10.0,
        10.0,
        False,
    )
    between = await bench.poll(after_s=5)
    assert (between.error, between.readings, bench.http.asked) == ("", (), [METER])
    bench.now_s += 5
    bench.ring()
    (second,) = (await bench.poll()).readings
    assert (second.sampled_at_ns - first.sampled_at_ns, second.watts) == (10 * 10**9, 100 + (NOW_S + 10) % 70)


async def test_a_restart_does_not_repeat_a_record():
    """The last one written out is remembered."""
    bench = Bench()
    bench.ring()
    await bench.poll()
    again = Bench(facts=json.loads(json.dumps(bench.facts)))
    again.ring()
    poll = await again.poll()
    assert (poll.error, poll.readings) == ("", ())


async def test_a_poll_that_is_cut_off_loses_no_record(monkeypatch):
    """It counts as written out when the poll has come to its end."""
    bench = Bench()
    bench.ring()
    with monkeypatch.context() as patch:
        patch.setattr(bench.reader, "_describe", lambda _now_ns: asyncio.sleep(30))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.poll(), 0.2)
    assert [one.sampled_at_ns for one in (await bench.poll()).readings] == [NOW_S * 10**9]


async def test_a_meter_that_has_stopped_gives_no_reading():
    """Its last record is not of now for ever; it comes back by itself."""
    bench = Bench()
    bench.ring()
    await bench.poll()
    poll = await bench.poll(after_s=71)
    assert (poll.error, poll.readings) == ("no_reading", ())
    assert METER in poll.message
    bench.ring()
    assert len((await bench.poll()).readings) == 1


@pytest.mark.parametrize(
    ("ahead_s", "until_s"), [(0, NOW_S - 120), (None, NOW_S)], ids=["stopped", "no-date"]
)
async def test_a_meter_of_unknown_or_past_time_is_no_source(ahead_s, until_s):
    """Nothing tells that its newest record is of now."""
    bench = Bench(ahead_s)
    bench.ring(until_s=until_s)
    with pytest.raises(BmcError) as refused:
        await bench.poll()
    assert refused.value.reason == "unsupported"


async def test_zero_is_a_value_only_while_the_host_is_off():
    """As from every other source."""
    bench = Bench()
    bench.ring()
    await bench.poll()
    bench.now_s += 10
    bench.ring(lambda _s: 0)
    poll = await bench.poll()
    assert (poll.error, poll.readings) == ("no_reading", ())
    bench.now_s += 10
    bench.ring(lambda _s: 0)
    bench.http.documents[SYSTEM] = {"Id": "1", "PowerState": "Off"}
    poll = await bench.poll()
    assert (poll.error, poll.host, [one.watts for one in poll.readings]) == ("", {None: "off"}, [0.0])


async def test_the_meter_stands_in_for_a_broken_power_resource(tmp_path):
    """An iLO 5 keeps all else in that one resource; its record has its own time there as well."""
    bmcs = '[[bmc]]\nid = "b"\nprotocol = "ilo5"\nscheme = "http"\npower = { constant_w = 212.0 }\n'
    async with simulated(tmp_path, bmcs) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        assert (await reader.poll()).source == "power_control"
        await sim.order("/fault", {"server": "b", "kind": "html", "path": "*/Power", "count": 1})
        poll = await reader.poll()
        assert (poll.error, poll.source, poll.readings[0].clock) == ("", "ilo_fast_meter", "bmc")
        assert poll.readings[0].watts == pytest.approx(212.0, abs=1.0)
        assert (await reader.poll()).source == "power_control"
