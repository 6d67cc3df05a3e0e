"""Says which 5-minute records fill a hole that the ring of 10-second records no longer reaches (pure).

The ring of 10-second records is 20 minutes deep. After a longer outage what was before that is taken from the
iLO's second ring, ``PowerMeter``: 288 records of 5 minutes (302 s apart in five iLO 5 2.46 captures), a day.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from energyrecorder_execd.readers.ilo.records import RECORD_S, PowerRecord
from energyrecorder_execd.readers.json_values import epoch_s

HISTORY_RECORD_S = 300.0
"""Length of one record of the second ring, seconds."""

HISTORY_LIMIT_S = 3.0
"""Longest wait for the second ring in one poll: it is big, and the reading at hand must not wait for it."""

HISTORY_ATTEMPTS = 10
"""After so many polls that could not get the second ring the hole stays."""

HISTORY_DEPTH_S = 24 * 3600.0

_FAST, _SLOW = "FastPowerMeter", "PowerMeter"


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch that no record written out covers.

    Args:
        from_s: End of the last record before it, seconds since the Unix epoch by the iLO's clock.
        to_s: Start of the first record after it, likewise.
        attempts: Polls that have tried to fill it.
    """

    from_s: float
    to_s: float
    attempts: int = 0


def history_path(meter: str) -> str | None:
    """Return the path of the second ring beside the first one; None if its name tells nothing."""
    bare = meter.rstrip("/")
    if not bare.endswith("/" + _FAST):
        return None
    return bare.removesuffix(_FAST) + _SLOW + meter[len(bare) :]


def hole_before(ring: Sequence[PowerRecord], last_raw: str | None) -> Hole | None:
    """Return the hole between what was written out and the oldest record of the ring; None if there is none.

    Args:
        ring: All records of the first ring, oldest first.
        last_raw: Time of the last record that was written out; None: none was.
    """
    last_s = epoch_s(last_raw)
    if last_s is None or not ring:
        return None
    begins_s = ring[0].time_s - RECORD_S
    found = Hole(max(last_s, begins_s - HISTORY_DEPTH_S), begins_s)
    return found if found.to_s - found.from_s >= HISTORY_RECORD_S else None


def still_open(old: Hole | None, new: Hole | None) -> Hole | None:
    """Return the hole to fill: a new one takes the place of another that could not be filled yet.

    A poll that its deadline ended finds the same hole again: its attempts go on being counted.
    """
    if old is None or new is None:
        return new or old
    return old if old.from_s == new.from_s else new


def inside(hole: Hole, history: Sequence[PowerRecord]) -> tuple[PowerRecord, ...]:
    """Return the records of the second ring that lie wholly in the hole, oldest first.

    One that reaches over an end would claim time for which 10-second records exist: it would blur them.

    Args:
        hole: The hole.
        history: Records of the second ring.
    """
    return tuple(
        record
        for record in history
        if record.time_s - HISTORY_RECORD_S >= hole.from_s - RECORD_S
        and record.time_s <= hole.to_s + RECORD_S
    )


def keep_hole(facts: MutableMapping[str, Any], hole: Hole | None) -> None:
    """Remember a hole, or that there is none any more."""
    if hole is None:
        facts.pop("hole", None)
    else:
        facts["hole"] = [hole.from_s, hole.to_s, hole.attempts]


def kept_hole(facts: Mapping[str, Any]) -> Hole | None:
    """Return what `keep_hole` remembered; None if there is nothing."""
    kept = facts.get("hole")
    if not isinstance(kept, list) or len(kept) != 3:  # noqa: PLR2004  # from, to, attempts
        return None
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in kept):
        return None
    return Hole(float(kept[0]), float(kept[1]), int(kept[2]))
