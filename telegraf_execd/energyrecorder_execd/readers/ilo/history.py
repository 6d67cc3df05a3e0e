"""Says which 5-minute records fill a hole that the ring of 10-second records no longer reaches (pure).

The ring of 10-second records is 20 minutes deep. After a longer outage what was before that is taken from the
iLO's second ring, ``PowerMeter``: 288 records of 5 minutes (302 s apart in five iLO 5 2.46 captures), a day.
"""

from __future__ import annotations

from collections.abc import Sequence

from energyrecorder_execd.readers.fast_meter import RECORD_S, PowerRecord
from energyrecorder_execd.readers.hole import Hole

HISTORY_RECORD_S = 300.0
"""Length of one record of the second ring, seconds."""

HISTORY_DEPTH_S = 24 * 3600.0

_FAST, _SLOW = "FastPowerMeter", "PowerMeter"


def history_path(meter: str) -> str | None:
    """Return the path of the second ring beside the first one; None if its name tells nothing."""
    bare = meter.rstrip("/")
    if not bare.endswith("/" + _FAST):
        return None
    return bare.removesuffix(_FAST) + _SLOW + meter[len(bare) :]


def hole_before(ring: Sequence[PowerRecord], seen_s: float | None) -> Hole | None:
    """Return the hole between what was written out and the oldest record of the ring; None if there is none.

    Args:
        ring: All records of the first ring, oldest first.
        seen_s: End of the last record that was written out; None: none was.
    """
    if seen_s is None or not ring:
        return None
    begins_s = ring[0].time_s - RECORD_S
    found = Hole(max(seen_s, begins_s - HISTORY_DEPTH_S), begins_s)
    return found if found.to_s - found.from_s >= HISTORY_RECORD_S else None


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
