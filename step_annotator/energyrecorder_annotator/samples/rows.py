"""Readings as rows of the embedded store's tables, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from energyrecorder_annotator.samples.base import Reading

SOURCE_COLUMNS = "window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct"
"""In the order of `energyrecorder_annotator.samples.base.SourceTuple`."""
READING_COLUMNS = f"r.t_ns, r.watts, {SOURCE_COLUMNS}"
"""In the order of `energyrecorder_analysis.series.PowerRow`."""


def source_key(reading: Reading) -> tuple[Any, ...]:
    """Return the values of the table ``sources`` without its id."""
    return (
        reading.window_s,
        reading.refresh_s,
        reading.quantum_w,
        reading.accuracy_pct,
        reading.clock,
        reading.protocol,
        reading.source,
        reading.side,
        reading.energy_wrap_j,
    )


def reading_row(reading: Reading, series_id: int, source_id: int) -> tuple[Any, ...]:
    """Return the values of the table ``readings``."""
    return (
        series_id,
        reading.t_ns,
        reading.watts,
        source_id,
        reading.avg_w,
        reading.min_w,
        reading.max_w,
        reading.energy_counter_j,
        int(reading.backfill),
    )


def best_series(series: Sequence[tuple[int, str]], prefer: Sequence[str]) -> list[tuple[str, int]]:
    """Return (preference, series id) of a server's series, best first.

    Args:
        series: (Series id, part) of readings of the whole server; part '' is the BMC's own.
        prefer: Names out of `energyrecorder_annotator.samples.base.PREFERENCES`, best first.
    """
    named = ((preference_of(part), part, series_id) for series_id, part in series)
    usable = [
        (name, part, series_id) for name, part, series_id in named if name is not None and name in prefer
    ]
    usable.sort(key=lambda one: (prefer.index(one[0]), one[1]))
    return [(name, series_id) for name, _, series_id in usable]


def preference_of(part: str) -> str | None:
    """Return which preference a ``part`` of scope ``server`` is; None if it is no reading of the whole."""
    if not part:
        return "bmc"
    if part == "legacy":
        return "legacy"
    return "meter" if part.startswith("meter:") else None


def last_reading(env: str, server: str, row: Sequence[Any]) -> Reading:
    """Return the reading that `READING_COLUMNS` hold."""
    t_ns, watts, window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct = row
    return Reading(
        env=env,
        server=server,
        scope="server",
        part=None,
        t_ns=t_ns,
        watts=watts,
        window_s=window_s,
        refresh_s=refresh_s,
        quantum_w=quantum_w,
        accuracy_pct=accuracy_pct,
        clock=clock,
        source=source,
        side=side,
    )
