"""A run and its steps as a table for terminals; pure."""

from __future__ import annotations

from typing import Any, List, Mapping

from energyrecorder.figures import (
    UNKNOWN,
    duration,
    energy_in_j,
    energy_wh,
    local_time,
    one_line,
    power,
    table,
)


def run_table(answer: Mapping[str, Any], *, utc: bool) -> str:
    """Return a run and its steps as a table for people.

    Args:
        answer: What ``GET /v1/runs/{id}`` answers.
        utc: Show times in UTC rather than in local time.
    """
    run = answer["run"]
    header = ("step", "state", "start", "duration", "energy", "in joules", "average", "quality", "servers")
    rows: List[List[str]] = [_row(item, utc=utc) for item in (run, *answer["steps"])]
    title = f"{one_line(run['scenario'])} on {one_line(run['env'])}, run {run['run_id']}"
    return f"{title}\n\n{table(header, rows)}"


def _row(item: Mapping[str, Any], *, utc: bool) -> List[str]:
    result: Mapping[str, Any] = item.get("result") or {}
    quality = str(result.get("quality") or item.get("quality") or "pending")
    reason = result.get("reason")
    if reason and quality != "resolved":
        quality = f"{quality}: {one_line(reason)}"
    name = item.get("step") or item.get("scenario")
    servers = result.get("servers")
    return [
        "  " * int(item.get("depth") or 0) + one_line(name),
        str(item["state"]),
        local_time(item.get("started_ns"), utc=utc),
        duration(item.get("duration_s")),
        energy_wh(result.get("energy_j"), result.get("u95_j"), result.get("quality")),
        energy_in_j(result.get("energy_j"), result.get("u95_j"), result.get("quality")),
        power(result.get("avg_w"), result.get("quality")),
        quality,
        UNKNOWN if servers is None else str(servers),
    ]
