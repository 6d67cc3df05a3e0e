"""What the panels' queries cost on a real InfluxDB: 50 servers read every 10 s, 24 hours."""

from __future__ import annotations

import time

import pytest

from support.grafana import DAY_MS, dashboards, fill, interpolated, now_ms, queries

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SERVERS = 50
# Against the barest query that could draw a curve per server: what a panel adds stays small.
BARE = (
    'SELECT mean("watts") FROM "server_power" '
    'WHERE time >= {0}ms AND time < {1}ms GROUP BY time(87s), "server"'
)
MOST = 3.0


def lines(now):
    """Yield a day of power and one state a minute for every server."""
    for number in range(SERVERS):
        tags = f"env=pod1,rack=r{number // 10},server=n{number}"
        for ms in range(now - DAY_MS, now, 10_000):
            yield f"server_power,scope=server,{tags} watts={250 + number * 0.1:.1f} {ms}000000"
        for ms in range(now - DAY_MS, now, 60_000):
            yield f'server_bmc,{tags} up=1i,error="",host="on",scrape_ms=31.0,late_ticks=0i {ms}000000'


def seconds(influxd, query):
    """Return the best of three."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        influxd.query(query, "speed")
        took.append(time.monotonic() - began)
    return min(took)


def test_every_panel_of_a_day_of_fifty_servers_is_quick(influxd):
    """None takes three times as long as the bare query, measured right before it."""
    now = now_ms() // 60_000 * 60_000
    fill(influxd, "speed", lines(now))
    slow = {}
    for uid in ("energy-live", "energy-fleet", "energy-health"):
        board = dashboards()[uid]
        points = {panel["title"]: panel.get("maxDataPoints", 1000) for panel in board["panels"]}
        bare_s = seconds(influxd, BARE.format(now - DAY_MS, now))
        for where, _, query in queries(board):
            grid = points.get(where.rpartition("/")[0], 1000)
            took_s = seconds(influxd, interpolated(query, board, now - DAY_MS, now, points=grid))
            if took_s > MOST * bare_s:
                slow[f"{uid}: {where}"] = round(took_s / bare_s, 2)
    assert not slow
