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
from energyrecorder_annotator.influx.setup import RAW, ROLLUP, continuous_queries
from grafana_data import DAY_MS, MINUTE_MS, now_ms, run_lines
from grafana_queries import dashboards, interpolated, interval_ms, queries
from influxd import Influxd, program

DATABASE = "speed"
POINTS = 1000
"""Of a panel that does not say how many it wants: Grafana asks for one per pixel."""
SIX_HOURS_MS = DAY_MS // 4
MEANS = f'"{ROLLUP}"."'
# The barest query that could draw a curve per server.
BARE = (
    'SELECT mean("watts") FROM "server_power" '
    'WHERE time >= {0}ms AND time < {1}ms GROUP BY time({2}ms), "server"'
)
DAY_LIMIT_MS = 600.0
FLEET_LIMIT_MS = 2000.0
_TRIES = 3
LEAST_CPU_S = 0.01
"""The kernel counts in such steps."""


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
        from_means: Whether queries of power are timed from 1-min means too.
        values: What is chosen in the dashboards' variables; None for their defaults.
    """

    servers: int
    step_ms: int
    length_ms: int
    uids: tuple[str, ...]
    limit_ms: float
    from_means: bool = False
    values: Mapping[str, str] | None = None


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the worst query of 50 servers for a day, and of a thousand for six hours."""
    if program() is None:
        return
    few, many = (5, 100) if quick else (50, 1000)
    day = Round(few, 10_000, DAY_MS, tuple(dashboards()), DAY_LIMIT_MS, from_means=True)
    by_site = {"group_by": "site"}
    fleet = Round(many, MINUTE_MS, SIX_HOURS_MS, ("energy-fleet",), FLEET_LIMIT_MS, values=by_site)
    for one in (day, fleet, replace(fleet, step_ms=10_000)):
        yield from worst(one, limit=None if quick else one.limit_ms)


def worst(one: Round, limit: float | None) -> Iterator[Figure]:
    """Yield the dearest query of a round by its wall time, and the dearest from 1-min means."""
    BUILD.mkdir(exist_ok=True)
    end_ms = now_ms() // MINUTE_MS * MINUTE_MS
    window = (end_ms - one.length_ms, end_ms)
    title = f"{one.servers} servers, {one.length_ms // 3_600_000} h"
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, Influxd(Path(folder)) as influxd:
        influxd.fill(DATABASE, server_lines(one.servers, *window, one.step_ms))
        influxd.fill(DATABASE, step_lines(one.servers, *window))
        found = costs_of(influxd, one, window)
        bare = cost_of(influxd, BARE.format(*window, interval_ms(one.length_ms, POINTS)))
        name, cost = dearest(found)
        peer = f"{told(name, cost)}; {len(found)} queries; a bare curve {bare.wall_s * 1000:.0f} ms"
        every = f"worst query, {title} every {one.step_ms // 1000} s"
        yield Figure(every, cost.wall_s * 1000, "ms", peer, limit)
        if one.from_means:
            make_means(influxd, DATABASE, window)
            means = costs_of(influxd, replace(one, values={"store": MEANS}), window, reading="${store}")
            name, cost = dearest(means)
            from_means_s = max(sum(each.cpu_s for each in means.values()), LEAST_CPU_S)
            ratio = sum(found[where].cpu_s for where in means) / from_means_s
            peer = f"{told(name, cost)}; {len(means)} queries, from readings {ratio:.1f} times the CPU"
            yield Figure(f"worst query, {title} of 1-min means", cost.wall_s * 1000, "ms", peer, limit)


def costs_of(influxd: Influxd, one: Round, window: tuple[int, int], *, reading: str = "") -> dict[str, Cost]:
    """Return what each query of a round takes; with ``reading`` only of those that hold this text."""
    return {
        f"{uid}: {where}": cost
        for uid in one.uids
        for where, cost in costs(influxd, dashboards()[uid], window, one.values, reading=reading).items()
    }


def dearest(found: Mapping[str, Cost]) -> tuple[str, Cost]:
    """Return the query that took longest."""
    return max(found.items(), key=lambda item: item[1].wall_s)


def told(name: str, cost: Cost) -> str:
    """Return a query and its CPU in words."""
    return f"{name}; CPU {cost.cpu_s * 1000:.0f} ms"


def make_means(influxd: Influxd, database: str, window: tuple[int, int]) -> None:
    """Make the 1-min means of a window at once; the continuous query makes them minute by minute."""
    influxd.query(f'CREATE RETENTION POLICY "{ROLLUP}" ON "{database}" DURATION 52w REPLICATION 1')
    span = f"time >= {window[0]}ms AND time < {window[1]}ms"
    for statement in continuous_queries(database).values():
        body = statement.partition("BEGIN ")[2].removesuffix(" END")
        body = body.replace(f'"{RAW}"', '"autogen"').replace(" GROUP BY", f" WHERE {span} GROUP BY")
        influxd.query(body, database)


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
    *,
    reading: str = "",
) -> dict[str, Cost]:
    """Return what each query of a dashboard takes on the intervals that Grafana asks for; see `costs_of`."""
    points = {panel["title"]: panel.get("maxDataPoints", POINTS) for panel in board["panels"]}
    return {
        where: cost_of(
            influxd,
            interpolated(query, board, *window, values, points=points.get(where.rpartition("/")[0], POINTS)),
        )
        for where, _, query in queries(board)
        if reading in query
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
