"""Sums over servers that are read at different paces: a real InfluxDB's answers."""

from __future__ import annotations

import pytest

from energyrecorder import schema
from grafana_data import MINUTE_MS
from grafana_queries import dashboards, interpolated

BOARDS = dashboards()
DATABASE = "total_power"
NOW = 1_800_000_000_000
# Seconds between two readings of a server, each of 100 W.
PACES_S = (10, 15, 30, 60)
SUMS = [
    ("energy-live", "Power and steps", "B"),
    ("energy-run", "Power during the run", "B"),
    ("energy-fleet", "Power by ${group_by}", "A"),
]
LEAST_MS = {None: 10_000, "1m": MINUTE_MS}


def lines():
    """Yield two hours of readings, none of them at the same second as that of another server."""
    power = schema.measurement(schema.SERVER_POWER)
    for number, pace_s in enumerate(PACES_S):
        tags = {"env": "pod1", "server": f"every-{pace_s}", "scope": "server"}
        for ms in range(NOW - 120 * MINUTE_MS + number * 2300, NOW + 5 * MINUTE_MS, pace_s * 1000):
            yield power.line(tags, {"watts": 100.0}, ms * 10**6)


@pytest.fixture(scope="module")
def filled(influxd):
    influxd.fill(DATABASE, lines())
    return influxd


@pytest.fixture(scope="module")
def asked(filled):
    """Return the answers to a sum, as (ms, W), for a window of so many milliseconds that ends then."""

    def of(uid, title, letter, length_ms, end_ms):
        (panel,) = (panel for panel in BOARDS[uid]["panels"] if panel["title"] == title)
        (query,) = (target["query"] for target in panel["targets"] if target["refId"] == letter)
        grid = {"points": panel.get("maxDataPoints", 1000), "least_ms": LEAST_MS[panel.get("interval")]}
        text = interpolated(query, BOARDS[uid], end_ms - length_ms, end_ms, **grid)
        (series,) = filled.query(text, DATABASE)
        return [(ns // 10**6, watts) for ns, watts in series["values"]]

    return of


@pytest.mark.parametrize("late_ms", [0, 7_000, 31_000])
@pytest.mark.parametrize("minutes", [5, 60])
@pytest.mark.parametrize("which", SUMS, ids=[title for _, title, _ in SUMS])
def test_a_server_that_is_read_less_often_counts_all_the_time(asked, which, minutes, late_ms):
    """Wherever the window ends: on a finer grid the total would be 100 to 400 W by turns."""
    found = asked(*which, minutes * MINUTE_MS, NOW + late_ms)
    assert {watts for _, watts in found} == {400.0}
    assert len(found) >= minutes / 2


@pytest.mark.parametrize("which", SUMS[:2], ids=[title for _, title, _ in SUMS[:2]])
def test_the_total_crosses_the_window_of_a_short_step(asked, which):
    """Half a minute, shorter than the pace of a server: its line comes from before and goes on behind."""
    end_ms = NOW + 7_000
    *_, before, behind = asked(*which, 30_000, end_ms)
    assert (before, behind) == ((end_ms - MINUTE_MS, 400.0), (end_ms, 400.0))
