"""What power supplies are rated for, as Redfish and iLO 4's own REST describe them; pure."""

from __future__ import annotations

from collections.abc import Iterable

from energyrecorder_execd.readers.json_values import Json, lenient_watts


def capacity_w(supplies: Iterable[Json]) -> float | None:
    """Return the sum of what supplies are rated for (``PowerCapacityWatts``), W.

    None unless each of them tells: a part of the sum would be taken for the whole.

    Args:
        supplies: Those that are there.
    """
    ratings = [lenient_watts(supply, "PowerCapacityWatts") or 0.0 for supply in supplies]
    return sum(ratings) or None if all(ratings) else None
