"""Demo data for the dashboards, in line protocol: servers, and runs with their results."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from energyrecorder import schema

ODD = "fw/upgrade (v2.1) 100%"
SCENARIOS = ("functest", ODD)
STEPS = ("boot", "vm up/down [3]", "iperf, 10 GBit", "cleanup")
SERVERS = ("node-1", "node-2", "box/1")
BASELINE = {"baseline_wh": 100.0, "baseline_low_wh": 97.0, "baseline_high_wh": 103.0, "baseline_runs": 5}
WITHOUT_BASELINE = 10
"""The first runs have none: five of each of the two scenarios."""
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def demo_lines(now_ms: int) -> Iterator[str]:
    """Yield line protocol: three servers, dense in the last hour, sparse for 30 days, with runs."""
    times = [*range(now_ms - 30 * DAY_MS, now_ms - 60 * MINUTE_MS, 10 * MINUTE_MS)]
    times += range(now_ms - 60 * MINUTE_MS, now_ms, 10_000)
    for server in SERVERS:
        yield from server_lines(server, times)
    for number, start_ms in enumerate(range(now_ms - 29 * DAY_MS, now_ms - 120 * MINUTE_MS, DAY_MS // 2)):
        yield from run_lines(number, start_ms, "passed" if (number + 1) % 7 else "lost")
    yield from run_lines(96, now_ms - 50 * MINUTE_MS, "passed")
    yield from run_lines(97, now_ms - 40 * MINUTE_MS, "failed")
    yield from run_lines(98, now_ms - 25 * MINUTE_MS, "failed")
    yield from run_lines(99, now_ms - 8 * MINUTE_MS, "running")
    for kind in schema.MARK_KINDS:
        tags = {"env": "pod1", "scenario": ODD, "kind": kind}
        fields = {"title": kind, "text": f"<b>{kind}</b>", "tags": "a,b", "run_id": "run-98"}
        yield _line(schema.ENERGY_MARKS, tags, fields, now_ms - 20 * MINUTE_MS)
    for ms in range(now_ms - 60 * MINUTE_MS, now_ms, 30_000):
        yield f"energy_telegraf,alias=energy-fleet,input=execd metrics_gathered={ms // 1000}i {ms}000000"
        output = "buffer_size=12i,write_errors=1i,metrics_rejected=0i,metrics_dropped=0i"
        yield f"energy_telegraf,alias=energy-influxdb,output=influxdb {output} {ms}000000"
        waiting = "energy_annotator_sink_backlog=2,energy_annotator_sink_refused_total=0"
        yield f"energy_annotator,sink=influxdb {waiting} {ms}000000"
        spool = "energy_annotator_spool_bytes=51200,energy_annotator_spool_oldest_seconds=3600.5"
        yield f"energy_annotator,env=pod1 {spool} {ms}000000"


def _line(measurement: str, tags: Mapping[str, str | None], fields: Mapping[str, Any], ms: int) -> str:
    line = schema.measurement(measurement).line(tags, fields, ms * 10**6)
    if line is None:
        raise ValueError(f"{measurement} without a field")
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
            yield _line(schema.SERVER_POWER, meter, {"watts": watts + 5, "side": "ac"}, ms)
        up = index % 50 != 0
        state = {"up": int(up), "host": "on", "scrape_ms": 40.0, "late_ticks": 0, "protocol": "redfish"}
        yield _line(schema.SERVER_BMC, tags, {**state, "error": "" if up else "timeout"}, ms)
    info = {"vendor": "Dell Inc.", "model": "R640", "bmc_fw": "6.10", "psu_count": 2, "power_cap_w": 750.0}
    info |= {"psu_capacity_w": 1500.0, "bmc_url": "https://10.0.0.7"}
    yield _line(schema.SERVER_INFO, tags, info, times[-1])


def _result(duration_s: float, quality: str) -> dict[str, Any]:
    energy_j = 780.0 * duration_s
    found = {"energy_j": energy_j, "energy_wh": energy_j / 3600, "u95_j": 0.02 * energy_j, "u95_gain_j": None}
    found |= {
        "avg_w": 780.0,
        "max_w": 900.0,
        "idle_w": 690.0,
        "net_j": 90.0 * duration_s,
        "coverage": 0.98,
        "quality": quality,
    }
    return {**found, "duration_s": duration_s, "samples": 100}


def run_lines(number: int, start_ms: int, state: str, servers: Sequence[str] = SERVERS) -> Iterator[str]:
    """Yield one run of eight minutes: its steps, their results by server, and its profile."""
    scenario, run = SCENARIOS[number % 2], f"run-{number}"
    for index, step in enumerate((None, *STEPS)):
        begin_ms = start_ms if step is None else start_ms + (index - 1) * 2 * MINUTE_MS
        length_s = 480.0 if step is None else 120.0
        done = state if step in (None, STEPS[-1]) else "passed"
        quality = "pending" if done == "running" else "unresolvable" if step == "cleanup" else "resolved"
        if done == "lost":
            quality = "pending"
        tags = {"env": "pod1", "scenario": scenario, "step": step, "level": "step" if step else "scenario"}
        ids = {
            "run_id": run,
            "step_id": f"{run}-{index}",
            "group": "ci-7",
            "ci_url": "https://ci.example/7",
        }
        texts = {"title": step or scenario, "text": "<b>x</b>", "tags": "a", "reason": "", "commit": "abc123"}
        texts |= {"state": done, "newState": schema.GRAFANA_STATES[done], "method": "trapezoid", "side": "ac"}
        figures = _result(length_s, quality) | {"exit_code": 0, "depth": int(step is not None), "overlap": 0}
        if step is None and done == "passed" and number >= WITHOUT_BASELINE:
            figures |= BASELINE
        if quality == "pending":
            figures = {"quality": quality, "duration_s": length_s}
        end_ms = begin_ms + int(length_s * 1000)
        fields = {**ids, **texts, **figures, "time_end": end_ms, "servers": len(servers)}
        yield _line(schema.ENERGY_STEPS, tags, fields, begin_ms)
        for server in servers if step and quality != "pending" else ():
            result = {"run_id": run, "step_id": ids["step_id"], **_result(length_s, quality)}
            level = {"env": "pod1", "scenario": scenario, "step": step, "server": server}
            yield _line(schema.ENERGY_STEP_SERVERS, level, result, begin_ms)
    for second in range(0, 480, 10):
        tags = {"env": "pod1", "scenario": scenario, "run": run}
        yield _line(
            schema.ENERGY_RUN_PROFILE,
            tags,
            _profile(number, second),
            second * 1000,
        )


def _profile(number: int, second: int) -> dict[str, Any]:
    watts = 780.0 + second / 10 + number % 5
    return {"watts": watts, "min_w": watts - 20.0, "max_w": watts + 30.0, "elapsed_s": float(second)}


def now_ms() -> int:
    """Return the present time in milliseconds."""
    return time.time_ns() // 10**6
