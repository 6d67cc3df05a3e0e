"""What Grafana does to a query before the data source sees it, and a database full of demo data to ask."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from energyrecorder import schema

DASHBOARDS = Path(__file__).resolve().parent.parent.parent / "dashboards"
ODD = "fw/upgrade (v2.1) 100%"
SCENARIOS = ("functest", ODD)
STEPS = ("boot", "vm up/down [3]", "iperf, 10 GBit", "cleanup")
SERVERS = ("node-1", "node-2", "box/1")
ALL = "$__all"
MINUTE_MS = 60_000
DAY_MS = 86_400_000
# Grafana takes the second where the exact interval is below the first (`rangeUtil.roundInterval`).
INTERVALS_S = (
    (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), (750, 600), (1050, 900),
    (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16_200, 10_800), (32_400, 21_600),
    (86_400, 43_200), (604_800, 86_400),
)  # fmt: skip


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the committed dashboards by uid."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((DASHBOARDS / "energy").glob("*.json"))
    }


def queries(board: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (where it stands, result format, query) of every target, annotation and variable."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']}/{target['refId']}", target["resultFormat"], target["query"]
    for layer in board["annotations"]["list"]:
        if "target" in layer:
            yield f"annotation {layer['name']}", layer["target"]["resultFormat"], layer["target"]["query"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", "variable", variable["query"]


def _escaped(text: str) -> str:
    # Grafana's regexEscape, as its InfluxDB data source applies it to values of multi-value variables.
    return re.sub(r"[\\^$*+?.()|[\]{}/]", r"\\\g<0>", text)


def chosen(variable: Mapping[str, Any], value: Sequence[str] | str | None) -> str:
    """Return what stands for a variable: its default, or the given value or values."""
    if variable["type"] != "query":
        text: str = value if isinstance(value, str) else variable["current"]["value"]
        return text
    values = [value] if isinstance(value, str) else list(value or [ALL])
    if values == [ALL]:
        return str(variable.get("allValue", ".*"))
    return _escaped(values[0]) if len(values) == 1 else f"({'|'.join(map(_escaped, values))})"


def interval_ms(length_ms: int, points: int) -> int:
    """Return the interval that Grafana takes for a window; our data source says 10 s at least."""
    exact_s = length_ms / points / 1000
    return next(rounded for below, rounded in INTERVALS_S if exact_s < below) * 1000


def interpolated(
    query: str,
    board: Mapping[str, Any],
    from_ms: int,
    to_ms: int,
    values: Mapping[str, Sequence[str] | str] | None = None,
    points: int = 500,
) -> str:
    """Return the query as the data source gets it."""
    grid_ms = interval_ms(to_ms - from_ms, points)
    known = {
        variable["name"]: chosen(variable, (values or {}).get(variable["name"]))
        for variable in board["templating"]["list"]
    }
    known |= {
        "timeFilter": f"time >= {from_ms}ms and time <= {to_ms}ms",
        "__interval": f"{grid_ms}ms",
        "__interval_ms": str(grid_ms),
        "__from": str(from_ms),
        "__to": str(to_ms),
    }
    return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda match: known[match[1] or match[2]], query)


def demo_lines(now_ms: int) -> Iterator[str]:
    """Yield line protocol: three servers, dense in the last hour, sparse for 30 days, with runs."""
    times = [*range(now_ms - 30 * DAY_MS, now_ms - 60 * MINUTE_MS, 10 * MINUTE_MS)]
    times += range(now_ms - 60 * MINUTE_MS, now_ms, 10_000)
    for server in SERVERS:
        yield from server_lines(server, times)
    for number, start_ms in enumerate(range(now_ms - 29 * DAY_MS, now_ms - 120 * MINUTE_MS, DAY_MS // 2)):
        yield from _run(number, start_ms, "lost" if number % 7 == 6 else "passed")
    yield from _run(98, now_ms - 25 * MINUTE_MS, "failed")
    yield from _run(99, now_ms - 8 * MINUTE_MS, "running")
    for kind in schema.MARK_KINDS:
        tags = {"env": "pod1", "scenario": ODD, "kind": kind}
        fields = {"title": kind, "text": f"<b>{kind}</b>", "tags": "a,b", "run_id": "run-98"}
        yield _line(schema.ENERGY_MARKS, tags, fields, now_ms - 20 * MINUTE_MS)
    for ms in range(now_ms - 60 * MINUTE_MS, now_ms, 30_000):
        yield f"energy_telegraf,alias=energy-fleet,input=execd metrics_gathered={ms // 1000}i {ms}000000"


def _line(measurement: str, tags: Mapping[str, str | None], fields: Mapping[str, Any], ms: int) -> str:
    line = schema.measurement(measurement).line(tags, fields, ms * 10**6)
    assert line is not None
    return line


def server_lines(server: str, times: Sequence[int]) -> Iterator[str]:
    """Yield power, state and description of one server."""
    tags = {"env": "pod1", "server": server, "rack": "r1", "site": "north"}
    for index, ms in enumerate(times):
        watts = 250 + 40 * math.sin(ms / 600_000) + len(server)
        fields = {"watts": watts, "window_s": 1.0, "clock": "poll", "protocol": "redfish", "side": "ac"}
        yield _line(schema.SERVER_POWER, {**tags, "scope": "server"}, fields, ms)
        if index % 10 == 0:
            part = {**tags, "scope": "component", "part": "psu1"}
            yield _line(schema.SERVER_POWER, part, {"watts": watts / 2}, ms)
            meter = {**tags, "scope": "server", "part": "meter:m1"}
            yield _line(schema.SERVER_POWER, meter, {"watts": watts + 5}, ms)
        up = index % 50 != 0
        state = {"up": int(up), "host": "on", "scrape_ms": 40.0, "late_ticks": 0, "protocol": "redfish"}
        yield _line(schema.SERVER_BMC, tags, {**state, "error": "" if up else "timeout"}, ms)
    info = {"vendor": "Dell Inc.", "model": "R640", "bmc_fw": "6.10", "psu_count": 2, "power_cap_w": 750.0}
    yield _line(schema.SERVER_INFO, tags, info, times[-1])


def _result(duration_s: float, quality: str) -> dict[str, Any]:
    energy_j = 780.0 * duration_s
    found = {"energy_j": energy_j, "energy_wh": energy_j / 3600, "u95_j": 0.02 * energy_j, "u95_gain_j": None}
    found |= {
        "avg_w": 780.0,
        "max_w": 900.0,
        "net_j": 90.0 * duration_s,
        "coverage": 0.98,
        "quality": quality,
    }
    return {**found, "duration_s": duration_s, "samples": 100}


def _run(number: int, start_ms: int, state: str) -> Iterator[str]:
    scenario, run = SCENARIOS[number % 2], f"run-{number}"
    for index, step in enumerate((None, *STEPS)):
        begin_ms = start_ms if step is None else start_ms + (index - 1) * 2 * MINUTE_MS
        length_s = 480.0 if step is None else 120.0
        done = state if step in (None, STEPS[-1]) else "passed"
        quality = "pending" if done == "running" else "unresolvable" if step == "cleanup" else "resolved"
        if done == "lost":
            quality = "pending"
        tags = {"env": "pod1", "scenario": scenario, "step": step, "level": "step" if step else "scenario"}
        ids = {"run_id": run, "step_id": f"{run}-{index}", "group": "ci-7", "ci_url": "https://ci.example/7"}
        texts = {"title": step or scenario, "text": "<b>x</b>", "tags": "a", "reason": "", "commit": "abc123"}
        texts |= {"state": done, "newState": schema.GRAFANA_STATES[done], "method": "trapezoid", "side": "ac"}
        figures = _result(length_s, quality) | {"exit_code": 0, "depth": int(step is not None), "overlap": 0}
        if quality == "pending":
            figures = {"quality": quality, "duration_s": length_s}
        end_ms = begin_ms + int(length_s * 1000)
        fields = {**ids, **texts, **figures, "time_end": end_ms, "servers": len(SERVERS)}
        yield _line(schema.ENERGY_STEPS, tags, fields, begin_ms)
        for server in SERVERS if step and quality == "resolved" else ():
            numbers = {k: v for k, v in _result(length_s, quality).items() if k != "quality"}
            result = {"run_id": run, "step_id": ids["step_id"], **numbers}
            level = {"env": "pod1", "scenario": scenario, "step": step, "server": server}
            yield _line(schema.ENERGY_STEP_SERVERS, level, result, begin_ms)
    for second in range(0, 480, 10):
        tags = {"env": "pod1", "scenario": scenario, "run": run}
        yield _line(
            schema.ENERGY_RUN_PROFILE,
            tags,
            {"watts": 780.0 + second / 10, "elapsed_s": float(second)},
            second * 1000,
        )


def fill(influxd: Any, database: str, lines: Iterator[str]) -> None:
    """Write lines in batches into a new database."""
    influxd.query(f'CREATE DATABASE "{database}"')
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == 5000:  # InfluxDB's recommended batch
            influxd.write(database, "\n".join(batch))
            batch.clear()
    if batch:
        influxd.write(database, "\n".join(batch))


def now_ms() -> int:
    """Return the present time in milliseconds."""
    return time.time_ns() // 10**6
