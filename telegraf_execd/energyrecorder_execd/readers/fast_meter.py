"""Understands the power meter of an iLO and says which of its records are new (pure).

The meter is a ring of 120 records of 10 s (spacing 10 s, now and then 11 s). iLO 4 up to firmware 2.1 writes
the newest first, later ones write it last, so that only ``Time`` counts, never the position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from energyrecorder_execd.quirks import is_plausible
from energyrecorder_execd.readers.json_values import (
    Json,
    as_object,
    epoch_s,
    lenient_number,
    lenient_watts,
    link,
    malformed,
    members,
    number,
    sub_object,
)

SOURCE = "ilo_fast_meter"

RECORD_S = 10.0
"""Length of one record, and period at which a new one appears, seconds."""

FUTURE_S = 30.0
"""A record this much later than the iLO's own clock was written before that clock was set back."""

CLOCK_SET_BACK_S = 60.0
STALE_S = 60.0
"""A meter without a record younger than this has stopped."""

SET_BACK_FAR_S = 3600.0
"""A clock that is set back by more than this calls all that the ring held before, 20 minutes, the future."""

OFFSET_IGNORED_S = 2.0
"""An offset of the iLO's clock up to this is none."""

OFFSET_HOLD_S = 3.0
"""An offset in force changes only when the measured one moves away from it by more than this."""

_PARTS = (("CpuWatts", "cpu"), ("DimmWatts", "memory"), ("GpuWatts", "gpu"))


@dataclass(frozen=True, slots=True)
class PowerRecord:
    """One record of the meter.

    Args:
        raw: Its time as the iLO wrote it: the identity of the record.
        time_s: The same, end of the record, seconds since the Unix epoch by the iLO's clock.
        watts: Average over the record.
        min_w: Least power in it; None unknown.
        max_w: Greatest power in it; None unknown.
        parts: Average power of the parts that this iLO meters, by name.
        inlet_c: Temperature of the air that goes in, °C; None unknown.
    """

    raw: str
    time_s: float
    watts: float
    min_w: float | None = None
    max_w: float | None = None
    parts: tuple[tuple[str, float], ...] = ()
    inlet_c: float | None = None


def fast_meter_link(power: Json) -> str | None:
    """Return the path of the meter that a Power resource links to; None if it links to none."""
    oem = sub_object(power, "Oem")
    vendor = sub_object(oem, "Hpe") or sub_object(oem, "Hp")
    return link(sub_object(vendor, "Links") or sub_object(vendor, "links"), "FastPowerMeter")


def has_records(document: Any) -> bool:
    """Whether this is a meter: on the path of another firmware an iLO 4 answers JSON without PowerDetail."""
    return isinstance(document, dict) and isinstance(document.get("PowerDetail"), list)


def parse_meter(document: Any, path: str) -> tuple[PowerRecord, ...]:
    """Return the records of a meter, oldest first, each time once; records without time or value left out.

    Raises:
        BmcDataError: This is no meter, or a value is malformed.
    """
    body = as_object(document, path)
    if not has_records(body):
        raise malformed(path, "PowerDetail", body.get("PowerDetail"))
    found: dict[float, PowerRecord] = {}
    for index, item in enumerate(members(body["PowerDetail"])):
        raw = item.get("Time")
        time_s = epoch_s(raw)
        watts = number(item, "Average", f"{path}: PowerDetail/{index}")
        if time_s is None or watts is None or not is_plausible(watts):
            continue
        found[time_s] = PowerRecord(
            str(raw),
            time_s,
            watts,
            lenient_watts(item, "Minimum"),
            lenient_watts(item, "Peak"),
            _parts(item, watts),
            lenient_number(item, "AmbTemp"),
        )
    return tuple(found[time_s] for time_s in sorted(found))


def _parts(item: Json, watts: float) -> tuple[tuple[str, float], ...]:
    """Return the parts of a record; 0 is what an iLO writes for a part that it does not meter."""
    shown = ((part, lenient_number(item, key)) for key, part in _PARTS)
    return tuple((part, value) for part, value in shown if value is not None and 0 < value <= watts)


def seen_until_s(last_raw: str | None, moved_s: float = 0.0) -> float | None:
    """Return the end of the last record that was written out, by the iLO's clock as it goes now.

    An iLO that begins in 1970 goes on in today's time once it knows that: what was new by one clock is not
    new by the other as well.

    Args:
        last_raw: Time of that record as the iLO wrote it; None: none was written out.
        moved_s: By how much the clock was set forward since then, seconds; negative: back. One that is set
            back by less than `SET_BACK_FAR_S` counts as not moved: the ring holds records of both times then.
    """
    end_s = epoch_s(last_raw)
    if end_s is None or -SET_BACK_FAR_S <= moved_s <= OFFSET_HOLD_S:
        return end_s
    # Offsets are whole seconds: half a record is out of doubt.
    return end_s + moved_s + RECORD_S / 2


def until_now(records: Sequence[PowerRecord], ilo_now_s: float | None) -> list[PowerRecord]:
    """Return the records without those that the iLO wrote before its clock was set back.

    Args:
        records: As `parse_meter` returns them.
        ilo_now_s: The iLO's own clock, seconds since the Unix epoch; None unknown, then all of them.
    """
    return [one for one in records if ilo_now_s is None or one.time_s <= ilo_now_s + FUTURE_S]


def new_records(
    records: Sequence[PowerRecord], last_raw: str | None, ilo_now_s: float | None, moved_s: float = 0.0
) -> tuple[PowerRecord, ...]:
    """Return the records that were not written out yet, oldest first.

    Args:
        records: As `parse_meter` returns them.
        last_raw: Time of the last record that was written out; None: none was, then the newest alone counts.
        ilo_now_s: The iLO's own clock, seconds since the Unix epoch; None unknown.
        moved_s: By how much that clock was set forward since the last record, seconds; negative: back.
    """
    past = until_now(records, ilo_now_s)
    if not past:
        return ()
    last_s, seen_s = epoch_s(last_raw), seen_until_s(last_raw, moved_s)
    # After the clock was set back, nobody knows by how much, the newest record is the only safe one.
    if last_s is None or seen_s is None or past[-1].time_s < min(last_s, seen_s) - CLOCK_SET_BACK_S:
        return (past[-1],)
    return tuple(record for record in past if record.time_s > seen_s)


def record_of_now(records: Sequence[PowerRecord], ilo_now_s: float | None) -> PowerRecord | None:
    """Return the newest record; None if there is none of the last minute, or no clock to tell.

    Args:
        records: As `parse_meter` returns them.
        ilo_now_s: The iLO's own clock, seconds since the Unix epoch; None unknown.
    """
    if ilo_now_s is None:
        return None
    current = [r for r in records if -STALE_S <= r.time_s - ilo_now_s <= FUTURE_S]
    return current[-1] if current else None


def clock_offset_s(previous_s: int | None, measured_s: float) -> int:
    """Return how much the iLO's clock is ahead, whole seconds, without following every jitter.

    Args:
        previous_s: The offset in force; None: none yet.
        measured_s: iLO's clock minus ours, seconds.
    """
    if previous_s is not None and abs(measured_s - previous_s) <= OFFSET_HOLD_S:
        return previous_s
    return 0 if abs(measured_s) <= OFFSET_IGNORED_S else round(measured_s)
