"""What the panels' queries cost a real InfluxDB: 50 servers for a day, and a fleet of 1,000 for six hours."""

from __future__ import annotations

import pytest

from bench.dashboards import BARE, DATABASE, POINTS, SIX_HOURS_MS, cost_of, costs, server_lines
from grafana_data import DAY_MS, MINUTE_MS, now_ms
from grafana_queries import dashboards, interval_ms

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# What a panel adds to the barest query stays small.
MOST = 4.0
LARGE_POINTS = 100


def too_dear(influxd, uid, window, bare_points, values=None):
    """Return the queries of a dashboard that take several times the CPU of the bare one, measured before."""
    grid_ms = interval_ms(window[1] - window[0], bare_points)
    bare_s = max(cost_of(influxd, BARE.format(*window, grid_ms)).cpu_s, 0.05)
    found = costs(influxd, dashboards()[uid], window, values)
    return {
        where: round(cost.cpu_s / bare_s, 2) for where, cost in found.items() if cost.cpu_s > MOST * bare_s
    }


@pytest.mark.parametrize("uid", ["energy-live", "energy-fleet", "energy-health"])
def test_a_day_of_fifty_servers_read_every_ten_seconds(influxd_of_its_own, uid):
    """None costs several times the bare query."""
    now = now_ms() // MINUTE_MS * MINUTE_MS
    influxd_of_its_own.fill(DATABASE, server_lines(50, now - DAY_MS, now, 10_000))
    assert not too_dear(influxd_of_its_own, uid, (now - DAY_MS, now), POINTS)


def test_the_fleet_dashboard_with_a_thousand_servers(influxd_of_its_own):
    """Six hours, against the bare query on the grid of a figure; few large groups cost most."""
    now = now_ms() // MINUTE_MS * MINUTE_MS
    window = (now - SIX_HOURS_MS, now)
    influxd_of_its_own.fill(DATABASE, server_lines(1000, *window, MINUTE_MS))
    assert not too_dear(influxd_of_its_own, "energy-fleet", window, LARGE_POINTS, {"group_by": "site"})
