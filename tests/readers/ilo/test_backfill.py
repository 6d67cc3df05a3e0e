"""After an outage the records that an iLO kept come out with their own times: each once, none missing."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from energyrecorder.errors import BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.hole import HISTORY_ATTEMPTS
from energyrecorder_execd.readers.ilo import IloReader
from energyrecorder_execd.readers.ilo.history import history_path
from energyrecorder_execd.readers.json_values import epoch_s
from support.bmcsim import simulated
from support.fake_http import FakeHttp
from support.readers import reading, target

CHASSIS = "/redfish/v1/Chassis/1"
FAST, SLOW = f"{CHASSIS}/Power/FastPowerMeter", f"{CHASSIS}/Power/PowerMeter"
START_S = 1_700_000_100
TARGET = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))
PATHS = {
    "ilo4-2.10": "/rest/v1/Chassis/1/PowerMetrics/FastPowerMeter",
    "ilo4-2.40": "/redfish/v1/Chassis/1/Power/FastPowerMeter/",
    "ilo5": FAST,
}


def _stamp(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ring(now_s, period_s, count, watts=lambda s: 100 + s // 10 % 50):
    newest = now_s // period_s * period_s
    ends = [newest - period_s * i for i in range(count)]
    return {
        "PowerDetail": [{"Time": _stamp(s), "Average": watts(s), "Minimum": 1, "Peak": 999} for s in ends]
    }


class IloOfRings:
    """An iLO with both rings, and collectors that are ended and started again."""

    def __init__(self):
        self.now_s = START_S
        self.facts = {}
        self.away = set()
        self.hanging = set()
        self.watts = lambda s: 100 + s // 10 % 50
        self.start()

    def start(self):
        """Start a collector with what the last one left on disk."""
        self.facts = json.loads(json.dumps(self.facts))
        self.reader = IloReader(
            TARGET, Context(Memory(self.facts), lambda: self.now_s * 10**9), HttpClients()
        )
        self.reader._http = self
        self.http = FakeHttp({})

    requests = 0

    def offer_sessions(self, _):
        return

    async def get(self, path, *, anonymous=False):
        if path in self.away:
            raise BmcUnreachableError(f"GET {path}: gone", reason="unreachable")
        if path in self.hanging:
            await asyncio.sleep(60)
        links = {"FastPowerMeter": {"@odata.id": FAST}}
        self.http.documents = {
            "/redfish/v1": {"Chassis": {"@odata.id": "/c"}, "Systems": {"@odata.id": "/s"}},
            "/c": {"Members": [{"@odata.id": CHASSIS}]},
            CHASSIS: {"Power": {"@odata.id": f"{CHASSIS}/Power"}},
            f"{CHASSIS}/Power": {"Oem": {"Hpe": {"Links": links}}},
            FAST: _ring(self.now_s, 10, 120, self.watts),
            SLOW: _ring(self.now_s, 300, 288, self.watts),
            "/s": {"Members": [{"@odata.id": "/s/1"}]},
            "/s/1": {"PowerState": "On"},
        }
        self.http.date_s = float(self.now_s)
        answer = await self.http.get(path, anonymous=anonymous)
        return replace(answer, sent_ns=self.now_s * 10**9, received_ns=self.now_s * 10**9)

    async def readings(self, seconds):
        """Poll every ten seconds for ``seconds``."""
        found = []
        for _ in range(0, seconds, 10):
            self.now_s += 10
            found += (await self.reader.poll()).readings
        return found


@pytest.fixture
def ilo():
    return IloOfRings()


def _ends(readings, window_s):
    return [r.sampled_at_ns // 10**9 for r in readings if r.window_s == window_s]


@pytest.mark.parametrize("restart", [False, True])
async def test_fifteen_minutes_are_filled_from_the_ring(ilo, restart):
    """No hole and no duplicate, and each value is the meter's own, whether the collector lived on or not."""
    readings = await ilo.readings(60)
    ilo.now_s += 900
    if restart:
        ilo.start()
    readings += await ilo.readings(60)
    ends = _ends(readings, 10.0)
    assert ends == list(range(ends[0], START_S + 1020 + 1, 10))
    assert [r.watts for r in readings] == [ilo.watts(end) for end in ends]
    assert 88 <= sum(r.backfill for r in readings) <= 91
    assert "hole" not in ilo.facts["ilo"]


async def test_beyond_twenty_minutes_the_five_minute_records_fill_in(ilo):
    """Three hours: 10-second records where there are any, and 5-minute ones that claim none of their time."""
    readings = await ilo.readings(60)
    ilo.now_s += 3 * 3600
    ilo.start()
    readings += await ilo.readings(60)
    long = [r for r in readings if r.window_s == 300.0]
    assert {(r.backfill, r.clock, r.source, r.part, r.scope) for r in long} == {
        (True, "bmc", "oem", None, "server")
    }
    assert {r.source for r in readings if r.window_s == 10.0} == {"ilo_fast_meter"}
    spans = sorted((r.sampled_at_ns / 1e9 - r.window_s, r.sampled_at_ns / 1e9) for r in readings)
    assert len(set(spans)) == len(spans)
    gaps = [begin - end for (_, end), (begin, _) in itertools.pairwise(spans)]
    assert min(gaps) >= -10
    # What is left is less than one record at each end of the outage.
    assert max(gaps) < 300
    assert sum(gap for gap in gaps if gap > 0) < 600
    assert len(long) >= (3 * 3600 - 1200) // 300 - 2
    # A period of 5 minutes in the past says nothing of how often to poll now.
    assert all(r.refresh_s is None for r in long)


async def test_a_history_that_fails_is_asked_for_again_and_costs_no_reading(ilo):
    """Also by the next collector; in the end each record has come out once."""
    await ilo.readings(20)
    ilo.now_s += 3 * 3600
    ilo.away.add(SLOW)
    first = await ilo.readings(20)
    assert len(_ends(first, 10.0)) == 121
    assert not _ends(first, 300.0)
    ilo.start()
    ilo.away.clear()
    second = await ilo.readings(20)
    assert len(_ends(second, 10.0)) == 2
    assert len(_ends(second, 300.0)) > 30
    assert not _ends(await ilo.readings(20), 300.0)


async def test_a_history_that_hangs_blocks_no_collector_for_ever(ilo):
    """Each poll that its deadline ends counts as an attempt; after the last one the readings go on."""
    await ilo.readings(20)
    ilo.now_s += 3 * 3600
    ilo.hanging.add(SLOW)
    for _ in range(HISTORY_ATTEMPTS):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ilo.reader.poll(), 0.01)
    assert len(_ends(await ilo.readings(10), 10.0)) == 120


async def test_a_history_that_never_comes_is_given_up(ilo):
    """After some attempts the hole stays, and polls are one request again."""
    await ilo.readings(20)
    ilo.now_s += 3 * 3600
    ilo.away.add(SLOW)
    await ilo.readings(10 * (HISTORY_ATTEMPTS + 1))
    assert "hole" not in ilo.facts["ilo"]
    ilo.away.clear()
    ilo.http.asked.clear()
    await ilo.readings(50)
    assert ilo.http.asked.count(SLOW) == 0


async def test_zero_in_the_history_of_a_running_host_is_not_written(ilo):
    """Nobody knows whether it was off then or its meter was."""
    await ilo.readings(20)
    begun_s = ilo.now_s
    ilo.now_s += 3 * 3600
    ilo.watts = lambda s: 0 if s < begun_s + 3600 else 200
    readings = await ilo.readings(10)
    assert min(r.watts for r in readings) == 200


@pytest.mark.parametrize(
    ("kept", "asked"),
    [(None, 0), ("x", 0), ([1], 0), ([1, "b", 0], 0), ([True, 1, 1], 0), ([1.0, 2.0, 0], 1)],
)
async def test_a_damaged_state_file_is_harmless(ilo, kept, asked):
    """What cannot be understood is no hole."""
    await ilo.readings(20)
    ilo.facts["ilo"]["hole"] = kept
    ilo.start()
    assert len(await ilo.readings(20)) == 2
    assert ilo.http.asked.count(SLOW) == asked


def test_the_second_ring_lies_beside_the_first():
    assert history_path(FAST) == SLOW
    assert history_path(FAST + "/") == SLOW + "/"
    assert history_path(PATHS["ilo4-2.10"]) == "/rest/v1/Chassis/1/PowerMetrics/PowerMeter"
    assert history_path("/somewhere/else") is None


@pytest.mark.parametrize("generation", PATHS)
async def test_a_collector_that_was_down_for_fifteen_minutes(tmp_path, generation):
    """Through HTTP, on each generation of simulated iLO: the values equal what its meter shows."""
    facts = {}
    bmc = (
        f'[[bmc]]\nid = "b"\nprotocol = "{generation}"\nscheme = "http"\n'
        'power = { formula = "300 + 100*sin(t/70)" }\n'
    )
    async with simulated(tmp_path, bmc) as sim:
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            (newest,) = (await reader.poll()).readings
        last_s = epoch_s(facts["ilo"]["last"]) - 900
        facts["ilo"]["last"] = _stamp(last_s)
        facts = json.loads(json.dumps(facts))
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            readings = list((await reader.poll()).readings)
            readings += (await reader.poll()).readings
        shown = await sim.get("b", PATHS[generation])
    meter = {epoch_s(item["Time"]): item["Average"] for item in shown["PowerDetail"]}
    ends = _ends(readings, 10.0)
    assert ends == list(range(int(last_s) + 10, ends[-1] + 1, 10))
    assert ends[-1] >= newest.sampled_at_ns // 10**9
    assert {end: r.watts for end, r in zip(ends, readings, strict=True)} == {end: meter[end] for end in ends}


@pytest.mark.parametrize("generation", PATHS)
async def test_a_collector_that_was_down_for_two_hours(tmp_path, generation):
    """The 5-minute records of each generation are found where that firmware keeps them."""
    facts = {}
    bmc = (
        f'[[bmc]]\nid = "b"\nprotocol = "{generation}"\nscheme = "http"\n'
        'power = { formula = "300 + 100*sin(t/70)" }\n'
    )
    async with simulated(tmp_path, bmc) as sim:
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            await reader.poll()
        facts["ilo"]["last"] = _stamp(epoch_s(facts["ilo"]["last"]) - 7200)
        async with reading(IloReader, target(sim, "b"), facts=facts) as reader:
            readings = (await reader.poll()).readings
        shown = await sim.get("b", PATHS[generation].replace("FastPowerMeter", "PowerMeter"))
    meter = {epoch_s(item["Time"]): item["Average"] for item in shown["PowerDetail"]}
    long = [r for r in readings if r.window_s == 300.0]
    assert 18 <= len(long) <= 20
    assert all(r.watts == meter[r.sampled_at_ns // 10**9] for r in long)
