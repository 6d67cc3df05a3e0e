"""What the dashboards' queries take in a real InfluxDB: each of every dashboard, the worst with its name.

Wall time as somebody before the screen waits, and CPU of InfluxDB, which a busy machine changes less.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.measure import BUILD, Figure, cpu_of_process_s
from grafana_data import DAY_MS, MINUTE_MS, now_ms, run_lines
from grafana_queries import dashboards, interpolated, interval_ms, queries
from influxd import Influxd, program

DATABASE = "speed"
POINTS = 1000
"""Of a panel that does not say how many it wants: Grafana asks for one per pixel."""
SIX_HOURS_MS = DAY_MS // 4
# The barest query that could draw a curve per server.
BARE = (
    'SELECT mean("watts") FROM "server_power" '
    'WHERE time >= {0}ms AND time < {1}ms GROUP BY time({2}ms), "server"'
)
DAY_LIMIT_MS = 600.0
FLEET_LIMIT_MS = 2000.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """What a query took: the least of three."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Round:
    """One size of fleet and one window.

    Args:
        servers: How many.
        step_ms: Between two readings of one.
        length_ms: Of the window.
        uids: Of the dashboards.
        limit_ms: What a query may take.
        values: What is chosen in the dashboards' variables; None for their defaults.
    """

    servers: int
    step_ms: int
    length_ms: int
    uids: tuple[str, ...]
    limit_ms: float
    values: Mapping[str, str] | None = None


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the worst query of 50 servers for a day, and of a thousand for six hours."""
    if program() is None:
        return
    few, many = (5, 100) if quick else (50, 1000)
    fleet = Round(many, MINUTE_MS, SIX_HOURS_MS, ("energy-fleet",), FLEET_LIMIT_MS, {"group_by": "site"})
    for one in (
        Round(few, 10_000, DAY_MS, tuple(dashboards()), DAY_LIMIT_MS),
        fleet,
        replace(fleet, step_ms=10_000),
    ):
        yield worst(one, limit=None if quick else one.limit_ms)


def worst(one: Round, limit: float | None) -> Figure:
    """Return the dearest query of a round by its wall time."""
    BUILD.mkdir(exist_ok=True)
    end_ms = now_ms() // MINUTE_MS * MINUTE_MS
    window = (end_ms - one.length_ms, end_ms)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, Influxd(Path(folder)) as influxd:
        influxd.fill(DATABASE, server_lines(one.servers, *window, one.step_ms))
        influxd.fill(DATABASE, step_lines(one.servers, *window))
        found = {
            f"{uid}: {where}": cost
            for uid in one.uids
            for where, cost in costs(influxd, dashboards()[uid], window, one.values).items()
        }
        bare = cost_of(influxd, BARE.format(*window, interval_ms(one.length_ms, POINTS)))
    name, cost = max(found.items(), key=lambda item: item[1].wall_s)
    hours, every_s = one.length_ms // 3_600_000, one.step_ms // 1000
    bare_ms = bare.wall_s * 1000
    peer = f"{name}; CPU {cost.cpu_s * 1000:.0f} ms; {len(found)} queries; a bare curve {bare_ms:.0f} ms"
    return Figure(
        f"worst query, {one.servers} servers, {hours} h every {every_s} s",
        cost.wall_s * 1000,
        "ms",
        peer,
        limit,
    )


def server_lines(servers: int, begin_ms: int, end_ms: int, step_ms: int) -> Iterator[str]:
    """Yield power and state of every server at each step."""
    for number in range(servers):
        tags = f"env=pod1,rack=r{number // 20},server=n{number},site=s{number // 500}"
        for ms in range(begin_ms, end_ms, step_ms):
            yield f"server_power,scope=server,{tags} watts={250 + number * 0.1:.1f} {ms}000000"
            yield f'server_bmc,{tags} up=1i,error="",host="on",scrape_ms=31.0,late_ticks=0i {ms}000000'


def step_lines(servers: int, begin_ms: int, end_ms: int) -> Iterator[str]:
    """Yield a run of five steps every ten minutes, on all servers."""
    names = [f"n{number}" for number in range(servers)]
    for number, ms in enumerate(range(begin_ms, end_ms, 10 * MINUTE_MS)):
        yield from run_lines(number, ms, "passed", names)


def costs(
    influxd: Influxd,
    board: Mapping[str, Any],
    window: tuple[int, int],
    values: Mapping[str, str] | None = None,
) -> dict[str, Cost]:
    """Return what each query of a dashboard takes, on the intervals that Grafana asks for."""
    points = {panel["title"]: panel.get("maxDataPoints", POINTS) for panel in board["panels"]}
    return {
        where: cost_of(
            influxd,
            interpolated(query, board, *window, values, points=points.get(where.rpartition("/")[0], POINTS)),
        )
        for where, _, query in queries(board)
    }


def cost_of(influxd: Influxd, query: str) -> Cost:
    """Return what one query takes."""
    if influxd.process is None:
        raise RuntimeError("InfluxDB does not run")
    tries = []
    for _ in range(_TRIES):
        before_s, cpu_before_s = time.perf_counter(), cpu_of_process_s(influxd.process.pid)
        influxd.query(query, DATABASE)
        cpu_s = cpu_of_process_s(influxd.process.pid) - cpu_before_s
        tries.append(Cost(time.perf_counter() - before_s, cpu_s))
    return Cost(min(one.wall_s for one in tries), min(one.cpu_s for one in tries))
