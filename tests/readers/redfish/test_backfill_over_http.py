"""After an outage the history of a simulated BMC fills the hole through HTTP: its truth, each record once."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.state import FactsStore
from support.bmcsim import simulated
from support.readers import reading, target

CASES = Path(__file__).parents[2] / "testcases" / "redfish"
OUTAGE_S = 900


@dataclass(frozen=True)
class Kept:
    """One kind of BMC with a history; without a case it is an iLO 5."""

    case: str
    power: str
    history: str
    record_s: float
    source: str = "oem"


TSM = Kept(
    "lenovo-sr645-tsm",
    "/redfish/v1/Chassis/Self/Power",
    "/redfish/v1/Chassis/Self/Power/Oem/Lenovo/HistoryPowerMeter/PsuAC",
    30.0,
)
HOURLY = Kept(
    "supermicro-sys821ge-x13",
    "/redfish/v1/Chassis/1/Power",
    "/redfish/v1/TelemetryService/MetricReports/AvgPowerConsumptionHour",
    300.0,
)


METER = Kept(
    "",
    "/redfish/v1/Chassis/1/Power",
    "/redfish/v1/Chassis/1/Power/FastPowerMeter",
    10.0,
    "ilo_fast_meter",
)


class Wall:
    """The time of simulator and collector, which a test sets ahead."""

    def __init__(self):
        self._time_ns, self.ahead_s = time.time_ns, 0

    def __call__(self):
        return self._time_ns() + self.ahead_s * 10**9


class Life:
    """Collectors of one BMC that live one after the other, with their state on disk and all they wrote."""

    def __init__(self, sim, folder, wall):
        self._sim, self._folder, self._wall = sim, folder, wall
        self.readings = []
        self.failed = 0

    async def of(self, *polls, log_out=True):
        """Let a collector poll, so many seconds before each poll, and end in good order or be killed."""
        store = FactsStore(self._folder)
        facts = store.load("a", "bmc")
        found = []
        aim = target(self._sim, "a")
        async with reading(RedfishReader, aim, facts=facts, clock=self._wall, log_out=log_out) as reader:
            for wait_s in polls:
                self._wall.ahead_s += wait_s
                try:
                    found += (await reader.poll()).readings
                except BmcError:
                    self.failed += 1
                store.save("a", "bmc", facts)
        if log_out:
            store.save("a", "bmc", facts, at_end=True)
        self.readings += found
        return found


@pytest.fixture
def wall(monkeypatch):
    """Return the clock of everything in this process."""
    clock = Wall()
    monkeypatch.setattr(time, "time_ns", clock)
    return clock


def _table(kept):
    power = 'scheme = "http"\npower = { formula = "300 + 100*sin(t/170)" }\n'
    if not kept.case:
        return f'[[bmc]]\nid = "a"\nprotocol = "ilo5"\n{power}'
    return (
        f'[[bmc]]\nid = "a"\nprotocol = "redfish"\n{power}'
        f'payload = "{CASES / kept.case / "responses.json"}"\n'
        f'live = [{{ path = "{kept.power}", pointer = "/PowerControl/0/PowerConsumedWatts" }}]\n'
    )


async def _assert_filled(sim, life, kept, found):
    """Whole records, back to back, as many as fit; each is the mean of the true power over its time."""
    live = sorted(one.sampled_at_ns for one in life.readings if not one.backfill)
    records = [one for one in life.readings if one.backfill]
    assert records == [one for one in found if one.backfill]
    assert {(one.window_s, one.clock, one.source) for one in records} == {(kept.record_s, "bmc", kept.source)}
    spans = [(one.sampled_at_ns - int(kept.record_s * 1e9), one.sampled_at_ns) for one in records]
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans))
    before, after = max(itertools.pairwise(live), key=lambda pair: pair[1] - pair[0])
    assert after - before >= OUTAGE_S * 10**9
    assert 0 <= spans[0][0] - before < kept.record_s * 1e9
    assert 0 <= after - spans[-1][1] < kept.record_s * 1e9
    for (begin_ns, end_ns), one in zip(spans, records, strict=True):
        truth = await sim.ask("/truth", **{"server": "a", "from": begin_ns, "to": end_ns})
        assert one.watts == pytest.approx(truth["mean_w"], abs=0.51)
    assert len({one.watts for one in records}) > 1


@pytest.mark.parametrize("kept", [TSM, HOURLY, METER], ids=["lenovo", "supermicro", "hpe"])
@pytest.mark.parametrize("log_out", [True, False], ids=["stopped", "killed"])
async def test_a_collector_that_was_away(tmp_path, wall, kept, log_out):
    """Stopped or killed between two writes of its state; what was filled is not filled again."""
    async with simulated(tmp_path, _table(kept)) as sim:
        life = Life(sim, tmp_path / "state", wall)
        await life.of(*[10] * 30, log_out=log_out)
        found = await life.of(OUTAGE_S, 10, 10, log_out=log_out)
        await life.of(10, 10, 10)
        assert life.failed == 0
        await _assert_filled(sim, life, kept, found)


@pytest.mark.parametrize("kept", [TSM, HOURLY, METER], ids=["lenovo", "supermicro", "hpe"])
async def test_a_network_that_was_away(tmp_path, wall, kept):
    """The collector goes on and is cut off each time; then it is killed and started again."""
    async with simulated(tmp_path, _table(kept)) as sim:
        life = Life(sim, tmp_path / "state", wall)
        await life.of(*[10] * 3, log_out=False)
        await sim.order("/fault", {"server": "a", "kind": "reset_mid_body", "for_s": OUTAGE_S})
        found = await life.of(*[100] * 9, 20, *[10] * 30, log_out=False)
        await life.of(10, 10)
        assert life.failed >= 8
        await _assert_filled(sim, life, kept, found)


@pytest.mark.parametrize("kept", [TSM, HOURLY, METER], ids=["lenovo", "supermicro", "hpe"])
async def test_a_history_that_fails_at_first(tmp_path, wall, kept):
    """It is asked for again by the next collector, and costs no reading."""
    async with simulated(tmp_path, _table(kept)) as sim:
        life = Life(sim, tmp_path / "state", wall)
        await life.of(*[10] * 3, log_out=False)
        fault = {"server": "a", "kind": "truncated_json", "path": kept.history, "count": 2, "for_s": 7200}
        await sim.order("/fault", fault)
        assert len(await life.of(OUTAGE_S, 10, log_out=False)) == 2
        found = await life.of(10, 10)
        await _assert_filled(sim, life, kept, found)


async def test_beyond_the_finer_records_the_coarser_ones_fill(tmp_path, wall):
    """An iLO that was not read for two hours: twenty minutes of 10-s records, five-minute ones before."""
    async with simulated(tmp_path, _table(METER)) as sim:
        life = Life(sim, tmp_path / "state", wall)
        await life.of(*[10] * 3)
        found = await life.of(7200, 10, 10)
        kept = sorted((one for one in found if one.backfill), key=lambda one: one.sampled_at_ns)
        spans = [(one.sampled_at_ns - int(one.window_s * 1e9), one.sampled_at_ns) for one in kept]
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
        assert {(one.window_s, one.source) for one in kept} == {(10.0, "ilo_fast_meter"), (300.0, "oem")}
        assert sum(one.window_s for one in kept) > 7200 - 2 * 300
        for (begin_ns, end_ns), one in zip(spans, kept, strict=True):
            truth = await sim.ask("/truth", **{"server": "a", "from": begin_ns, "to": end_ns})
            assert one.watts == pytest.approx(truth["mean_w"], abs=0.51)
