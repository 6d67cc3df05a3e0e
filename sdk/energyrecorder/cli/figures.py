"""Energy, power and time as people read them: Wh with an interval, local time with its offset; all pure."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any, List, Mapping, Optional, Sequence

J_PER_WH = 3600.0
_KILO = 1000.0
UNRESOLVABLE = "unresolvable"
NOT_RESOLVABLE = "not resolvable"
UNKNOWN = "–"  # noqa: RUF001  # a dash for what is missing, as in any printed table


def decimals_for(error: float) -> int:
    """Return how many decimals show ``error`` with two significant digits (JCGM 100, 7.2.6)."""
    return max(0, 1 - math.floor(math.log10(error))) if error > 0 and math.isfinite(error) else 3


def with_interval(value: float, u95: Optional[float], unit: str) -> str:
    """Return ``12.34 ± 0.21 Wh``; an unknown interval is shown as unknown, never left out."""
    if u95 is None:
        return f"{value:.3g} ± ? {unit}"
    decimals = decimals_for(u95)
    return f"{value:.{decimals}f} ± {u95:.{decimals}f} {unit}"


def interval(value: float, u95: float, unit: str) -> str:
    """Return ``0.16 … 0.38 Wh``: where the value lies, when the value itself would mislead."""
    low, high = value - u95, value + u95
    decimals = decimals_for(high)
    if low <= 0:
        return f"≤ {high:.{decimals}f} {unit}"
    return f"{low:.{decimals}f} … {high:.{decimals}f} {unit}"


def energy_wh(energy_j: Optional[float], u95_j: Optional[float], quality: Optional[str] = None) -> str:
    """Return an energy in Wh, from 1,000 Wh in kWh, with its interval.

    Args:
        energy_j: Joules; None is unknown.
        u95_j: Half the width of the 95 % interval, joules.
        quality: ``unresolvable`` is shown in words with the interval, never as a bare number.
    """
    unresolvable = quality == UNRESOLVABLE
    if energy_j is None or (unresolvable and u95_j is None):
        return NOT_RESOLVABLE if unresolvable else UNKNOWN
    kilo = abs(energy_j) + (u95_j or 0.0 if unresolvable else 0.0) >= _KILO * J_PER_WH
    scale, unit = (J_PER_WH * _KILO, "kWh") if kilo else (J_PER_WH, "Wh")
    u95 = None if u95_j is None else u95_j / scale
    if unresolvable and u95 is not None:
        return f"{NOT_RESOLVABLE} ({interval(energy_j / scale, u95, unit)})"
    return with_interval(energy_j / scale, u95, unit)


def energy_in_j(energy_j: Optional[float], u95_j: Optional[float], quality: Optional[str] = None) -> str:
    """Return the same in joules, for the detail column."""
    if energy_j is None:
        return UNKNOWN
    if quality == UNRESOLVABLE:
        return UNKNOWN if u95_j is None else interval(energy_j, u95_j, "J")
    return with_interval(energy_j, u95_j, "J")


def power_w(watts: Optional[float], quality: Optional[str] = None) -> str:
    """Return an average power; unknown where the energy it follows from is not resolvable."""
    return UNKNOWN if watts is None or quality == UNRESOLVABLE else f"{watts:.1f} W"


def duration(duration_s: Optional[float]) -> str:
    """Return ``12.3 s``, from a minute on ``3 min 05 s``."""
    if duration_s is None:
        return UNKNOWN
    if duration_s < 59.95:  # noqa: PLR2004  # what would be rounded to 60.0 s
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def local_time(time_ns: Optional[int], *, utc: bool) -> str:
    """Return ``2026-11-22 20:06:01+00:00``: local time with its offset, or UTC."""
    if time_ns is None:
        return UNKNOWN
    moment = datetime.fromtimestamp(time_ns // 10**9, tz=timezone.utc)  # noqa: UP017  # datetime.UTC is of 3.11
    return (moment if utc else moment.astimezone()).isoformat(sep=" ")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, two spaces apart; figures to the right, names to the left."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    right = [_is_figure(rows, column) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(line, widths, right)  # noqa: B905  # strict= is of 3.10
        ).rstrip()
        for line in lines
    )


def _is_figure(rows: Sequence[Sequence[str]], column: int) -> bool:
    cells = [row[column] for row in rows if row[column] != UNKNOWN]
    return bool(cells) and all(cell[:1].isdigit() or cell[:1] in "-≤" for cell in cells)


def counted(number: int, noun: str) -> str:
    """Return ``1 event``, ``3 events``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def one_line(text: object, longest: int = 60) -> str:
    """Return foreign text fit for a terminal: one line, no control characters, not too long."""
    plain = "".join(character if character.isprintable() else " " for character in str(text))
    plain = " ".join(plain.split())
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


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
        power_w(result.get("avg_w"), result.get("quality")),
        quality,
        UNKNOWN if servers is None else str(servers),
    ]
