"""What the panels' queries cost a real InfluxDB: 50 servers for a day, and a fleet of 1,000 for six hours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.grafana import DAY_MS, dashboards, fill, interpolated, interval_ms, now_ms, queries

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BOARDS = dashboards()
# The barest query that could draw a curve per server; what a panel adds stays small.
BARE = (
    'SELECT mean("watts") FROM "server_power" '
    'WHERE time >= {0}ms AND time < {1}ms GROUP BY time({2}ms), "server"'
)
MOST = 4.0
POINTS = 1000
LARGE_POINTS = 100
SIX_HOURS_MS = DAY_MS // 4


def lines(servers, begin_ms, end_ms, step_ms):
    """Yield power at each step and one state a minute for every server."""
    for number in range(servers):
        tags = f"env=pod1,rack=r{number // 20},server=n{number},site=s{number // 500}"
        for ms in range(begin_ms, end_ms, step_ms):
            yield f"server_power,scope=server,{tags} watts={250 + number * 0.1:.1f} {ms}000000"
        for ms in range(begin_ms, end_ms, 60_000):
            yield f'server_bmc,{tags} up=1i,error="",host="on",scrape_ms=31.0,late_ticks=0i {ms}000000'


def cpu_s(process):
    """Return what a process has used so far: unlike wall time it is nearly the same on a busy machine."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost_s(influxd, query):
    """Return the least of three."""
    found = []
    for _ in range(3):
        before = cpu_s(influxd.process)
        influxd.query(query, "speed")
        found.append(cpu_s(influxd.process) - before)
    return min(found)


def too_dear(influxd, uid, window, bare_points, values=None):
    """Return the queries of a dashboard that cost several times the bare one, measured right before."""
    board = BOARDS[uid]
    points = {panel["title"]: panel.get("maxDataPoints", POINTS) for panel in board["panels"]}
    grid_ms = interval_ms(window[1] - window[0], bare_points)
    bare_s = max(cost_s(influxd, BARE.format(*window, grid_ms)), 0.05)
    found = {}
    for where, _, query in queries(board):
        grid = points.get(where.rpartition("/")[0], POINTS)
        took_s = cost_s(influxd, interpolated(query, board, *window, values, points=grid))
        if took_s > MOST * bare_s:
            found[where] = round(took_s / bare_s, 2)
    return found


@pytest.mark.parametrize("uid", ["energy-live", "energy-fleet", "energy-health"])
def test_a_day_of_fifty_servers_read_every_ten_seconds(influxd_of_its_own, uid):
    """None costs several times the bare query."""
    now = now_ms() // 60_000 * 60_000
    fill(influxd_of_its_own, "speed", lines(50, now - DAY_MS, now, 10_000))
    assert not too_dear(influxd_of_its_own, uid, (now - DAY_MS, now), POINTS)


def test_the_fleet_dashboard_with_a_thousand_servers(influxd_of_its_own):
    """Six hours, against the bare query on the grid of a figure; few large groups cost most."""
    now = now_ms() // 60_000 * 60_000
    window = (now - SIX_HOURS_MS, now)
    fill(influxd_of_its_own, "speed", lines(1000, *window, 60_000))
    assert not too_dear(influxd_of_its_own, "energy-fleet", window, LARGE_POINTS, {"group_by": "site"})
