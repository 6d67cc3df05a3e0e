"""After an outage the averages that a Redfish BMC kept fill the hole: each once, with their own times."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyrecorder.errors import BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.quirk_places import HISTORIES
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.hole import HISTORY_ATTEMPTS
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.backfill import Record, parse_history
from support.fake_http import FakeHttp

CASES = Path(__file__).parents[2] / "testcases"
LENOVO, SUPERMICRO, *_ = HISTORIES
START_S = 1_700_000_100
MIDNIGHT_S = 1_699_920_000
POWER = "/redfish/v1/Chassis/1/Power"


def _documents(row):
    return json.loads((CASES / row.fixture / "responses.json").read_text(encoding="utf-8"))


class Bmc:
    """A BMC with a history, its clock ``ahead_s`` ahead, and collectors that end and start again."""

    def __init__(self, row, ahead_s=0, zone_s=0, *, components=False):
        self.row, self.ahead_s, self.zone_s = row, ahead_s, zone_s
        self.options = {"components": components}
        self.documents = _documents(row)
        (self.power,) = (path for path in self.documents if path.endswith("/Power"))
        self.path = row.resource if row.resource.startswith("/") else f"{self.power}/{row.resource}"
        self.now_s = START_S
        self.away, self.asked = False, []
        self.facts = {}
        self.start()

    def start(self):
        """Start a collector with what is on disk."""
        self.facts = json.loads(json.dumps(self.facts))
        aim = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"), options=self.options)
        context = Context(Memory(self.facts), lambda: self.now_s * 10**9)
        self.reader = RedfishReader(aim, context, HttpClients())
        self.reader._http = self

    requests = 0

    def offer_sessions(self, _):
        return

    async def close(self):
        return

    def watts(self, end_s):
        return 100 + int(end_s) // 10 % 50

    def _stamp(self, end_s):
        shown = datetime.fromtimestamp(end_s + self.ahead_s + self.zone_s, UTC)
        return shown.strftime("%Y-%m-%d %H:%M:%S" if self.row is LENOVO else "%Y-%m-%dT%H:%M:%S+00:00")

    def _history(self):
        newest = self.now_s // int(self.row.record_s) * int(self.row.record_s)
        ends = [newest - int(self.row.record_s) * i for i in range(12 if self.row is SUPERMICRO else 240)]
        property_ = {"MetricProperty": f"{self.power}#/PowerControl/0"} if self.row is SUPERMICRO else {}
        one = [
            {self.row.time: self._stamp(s), self.row.average: str(self.watts(s)), **property_} for s in ends
        ]
        return {self.row.records: one}

    async def get(self, path, *, anonymous=False):
        self.asked.append(path)
        if self.away and path == self.path:
            raise BmcUnreachableError(f"GET {path}: gone", reason="unreachable")
        if path == self.path:
            self.documents[path] = self._history()
        answer = await FakeHttp(self.documents, float(self.now_s + self.ahead_s)).get(path)
        # In the middle of the second that the Date header shows.
        middle_ns = self.now_s * 10**9 + 5 * 10**8
        return replace(answer, sent_ns=middle_ns, received_ns=middle_ns)

    async def polls(self, count, every_s=10):
        """Return the readings of some polls."""
        found = []
        for _ in range(count):
            self.now_s += every_s
            found += (await self.reader.poll()).readings
        return found

    def expected(self, from_s, to_s):
        """Return the ends of the records that lie wholly between."""
        step = int(self.row.record_s)
        first = -(-from_s // step) * step + step
        return list(range(int(first), int(to_s) + 1, step))


def _kept(readings):
    return [reading for reading in readings if reading.backfill]


@pytest.mark.parametrize("restart", [False, True], ids=["network", "collector"])
@pytest.mark.parametrize(("row", "zone_s"), [(LENOVO, 5.5 * 3600), (LENOVO, -8 * 3600), (SUPERMICRO, 0)])
@pytest.mark.parametrize("ahead_s", [0, 700])
async def test_fifteen_minutes_are_filled(row, zone_s, ahead_s, restart):
    """Whole records in the hole, none twice, whatever clock and zone the BMC has."""
    bmc = Bmc(row, ahead_s=ahead_s if row is SUPERMICRO else ahead_s // 100, zone_s=zone_s)
    before = await bmc.polls(5)
    assert _kept(before) == []
    assert bmc.path not in bmc.asked
    if restart:
        await bmc.reader.close()
        bmc.start()
    last_s = bmc.now_s
    bmc.now_s += 900
    after = await bmc.polls(20)
    kept = _kept(after)
    ends = [reading.sampled_at_ns / 1e9 for reading in kept]
    assert ends == bmc.expected(last_s, last_s + 910)
    assert [reading.watts for reading in kept] == [float(bmc.watts(end)) for end in ends]
    told = {(r.clock, r.source, r.window_s, r.side, r.scope, r.part) for r in kept}
    assert told == {("bmc", "oem", row.record_s, row.side, "server", None)}
    assert len(after) == 20 + len(kept)
    assert bmc.asked.count(bmc.path) == 1


async def test_a_part_is_not_taken_for_the_total_whose_hole_it_is():
    """While the total alone is silent its supplies come out; the hole ends with the total's next reading."""
    bmc = Bmc(SUPERMICRO, components=True)
    await bmc.polls(3)
    last_s = bmc.now_s
    bmc.now_s += 900
    plan = bmc.reader._planner.plan
    bmc.reader._planner.plan = replace(plan, totals=(replace(plan.totals[0], stand_ins=()),))
    control = bmc.documents[bmc.power]["PowerControl"][0]
    watts, control["PowerConsumedWatts"] = control["PowerConsumedWatts"], None
    silent = await bmc.polls(1)
    assert silent
    assert all(reading.part is not None for reading in silent)
    control["PowerConsumedWatts"] = watts
    kept = _kept(await bmc.polls(1))
    assert [round(r.sampled_at_ns / 1e9) for r in kept] == bmc.expected(last_s, bmc.now_s)
    assert {(r.scope, r.part) for r in kept} == {("server", None)}


async def test_a_slow_interval_is_no_outage():
    """Who polls every five minutes has no holes of five minutes."""
    bmc = Bmc(SUPERMICRO)
    assert _kept(await bmc.polls(6, every_s=300)) == []
    assert bmc.path not in bmc.asked


async def test_a_history_that_fails_is_tried_again_and_costs_no_reading():
    """A few times; a BMC without any is not asked again for that hole."""
    bmc = Bmc(SUPERMICRO)
    await bmc.polls(3)
    last_s = bmc.now_s
    bmc.now_s += 900
    bmc.away = True
    assert len(await bmc.polls(3)) == 3
    bmc.away = False
    kept = _kept(await bmc.polls(3))
    assert [round(r.sampled_at_ns / 1e9) for r in kept] == bmc.expected(last_s, last_s + 910)
    bmc.now_s += 900
    bmc.away = True
    bmc.asked.clear()
    assert len(await bmc.polls(HISTORY_ATTEMPTS + 5)) == HISTORY_ATTEMPTS + 5
    assert bmc.asked.count(bmc.path) == HISTORY_ATTEMPTS


async def test_a_bmc_without_history_is_asked_once_per_hole():
    """All requests are answered by 404."""
    bmc = Bmc(LENOVO)
    bmc.path = "/nowhere"
    bmc.documents = {path: body for path, body in bmc.documents.items() if "History" not in path}
    await bmc.polls(3)
    bmc.now_s += 900
    bmc.asked.clear()
    assert len(await bmc.polls(3)) == 3
    assert len([path for path in bmc.asked if path != bmc.power]) <= len(HISTORIES) + 1


def _records(*items):
    names = ("Timestamp", "MetricValue", "MetricProperty")
    return {"MetricValues": [dict(zip(names, item, strict=False)) for item in items]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (_records(("2023-11-14T00:00:00+00:00", "2162")), [(0, 2162.0)]),
        # The newest is first or last; a time that comes twice counts once.
        (
            _records(("2023-11-14T00:00:00Z", 2), ("2023-11-13T23:55:00Z", "1"), ("2023-11-14T00:00:00Z", 2)),
            [(-300, 1.0), (0, 2.0)],
        ),
        # Of another resource: the GPU tray.
        (_records(("2023-11-14T00:00:00Z", "825", "/redfish/v1/Chassis/HGX/Sensors/x")), []),
        (_records(("2023-11-14T00:00:00Z", "825", f"{POWER}#/PowerControl/0")), [(0, 825.0)]),
        # A clock that says 2020, a report that stopped, one of tomorrow.
        (_records(("2020-12-11T16:40:46+00:00", "825")), []),
        (_records(("2023-11-13T23:40:00Z", "825")), []),
        (_records(("2023-11-15T00:00:00Z", "825")), []),
        (_records(("yesterday", "825"), ("2023-11-14T00:00:00Z", "N/A"), ("2023-11-14T00:00:00Z", -3)), []),
        ({"MetricValues": {"Timestamp": "2023-11-14T00:00:00Z", "MetricValue": 5}}, [(0, 5.0)]),
        ({"MetricValues": [None, 3, []]}, []),
        ({}, []),
        ([], []),
        (None, []),
    ],
)
def test_what_is_understood_of_a_report(document, expected):
    """Texts are numbers; what is not of now, or of something else, is left out."""
    now_s = float(MIDNIGHT_S + 100)
    found = parse_history(document, SUPERMICRO, total=POWER, bmc_now_s=now_s, now_s=now_s)
    assert [(record.end_s - MIDNIGHT_S, record.watts) for record in found] == expected


def test_least_and_greatest_are_taken_where_they_are():
    document = {
        "historyPower": [
            {"avgPower": "44", "maxPower": "45", "minPower": "43", "timeStamp": "2023-11-14 00:00:00"}
        ]
    }
    now_s = float(MIDNIGHT_S + 7)
    (found,) = parse_history(document, LENOVO, total=POWER, bmc_now_s=now_s, now_s=now_s)
    assert found == Record(float(MIDNIGHT_S), 44.0, 43.0, 45.0)
