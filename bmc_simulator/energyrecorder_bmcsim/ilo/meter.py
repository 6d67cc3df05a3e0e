"""iLO power meters: rings of averaged records, in the order and at the paths of each iLO generation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from energyrecorder_bmcsim.live import LiveBmc, Record, View
from energyrecorder_bmcsim.payload import Payload
from energyrecorder_bmcsim.redfish.resources import Renderable, bmc_time


@dataclass(frozen=True, slots=True)
class Ring:
    """One kind of meter.

    Args:
        period_s: Length of a record's window, seconds.
        count: Records that it holds.
    """

    period_s: int
    count: int


RINGS: Mapping[str, Ring] = {
    "FastPowerMeter": Ring(10, 120),
    "PowerMeter": Ring(300, 288),
    "SlowPowerMeter": Ring(3600, 168),
}
"""Last part of the path → ring: 20 minutes, a day and a week (five iLO 5 2.46 captures)."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of iLO.

    Args:
        payload: Shipped payload that stands for it.
        newest_first: Whether a ring begins with its newest record.
    """

    payload: str
    newest_first: bool


GENERATIONS: Mapping[str, Generation] = {
    # iLO 4 2.10: /rest/v1 only, <chassis>/PowerMetrics/FastPowerMeter, PowerDetail[0] is the newest.
    "ilo4-2.10": Generation("hpe-dl360-ilo4-2.10", newest_first=True),
    # iLO 4 2.40: /rest/v1 and /redfish/v1, <chassis>/Power/FastPowerMeter, the newest record last.
    "ilo4-2.40": Generation("hpe-dl360-ilo4-2.40", newest_first=False),
    # iLO 5: /redfish/v1 only, HpePowerMeter, the newest record last.
    "ilo5": Generation("hpe-dl385-ilo5", newest_first=False),
}


class Meter:
    """One meter of one BMC; rendered anew when a record was added.

    Args:
        tree: The captured body; its first record gives the fields that do not live.
        ring: What kind of meter it is.
        newest_first: Whether it begins with its newest record.
        live: Where the records come from.
    """

    def __init__(self, tree: Mapping[str, Any], ring: Ring, live: LiveBmc, *, newest_first: bool) -> None:
        self._tree = dict(tree)
        captured = tree.get("PowerDetail")
        self._fields = dict(captured[0]) if isinstance(captured, list) and captured else {}
        self._ring = ring
        self._live = live
        self._newest_first = newest_first
        self._key: tuple[object, ...] = ()
        self._body = b""

    def render(self, view: View) -> bytes:
        """Return the body for what the BMC goes by now."""
        records = self._live.records(view.read_ns, self._ring.period_s, self._ring.count)
        newest_ns = records[-1].end_ns
        key = (newest_ns, self._live.clock_ns(newest_ns), self._live.zeroed(newest_ns), view.masked)
        if key != self._key:
            details = [self._detail(record) for record in reversed(records)]
            averages_w = [detail["Average"] for detail in details]
            self._tree |= {
                "Average": round(sum(averages_w) / len(averages_w)),
                "Maximum": max(detail["Peak"] for detail in details),
                "Minimum": min(averages_w),
                "PowerDetail": details if self._newest_first else details[::-1],
            }
            if view.masked == "null":
                self._tree |= {"Average": None, "Maximum": None, "Minimum": None, "PowerDetail": None}
            self._body = json.dumps(self._tree, separators=(",", ":")).encode()
            self._key = key
        return self._body

    def _detail(self, record: Record) -> dict[str, Any]:
        hidden = self._live.zeroed(record.end_ns)
        average_w, peak_w = (0, 0) if hidden else (round(record.average_w), round(record.peak_w))
        return self._fields | {
            "Average": average_w,
            # Equal to the average in every 10-s record of the captures.
            "Minimum": average_w,
            "Peak": peak_w,
            "Time": bmc_time(self._live.clock_ns(record.end_ns)),
        }


def meters(payload: Payload, live: LiveBmc, *, newest_first: bool) -> dict[str, Renderable]:
    """Return a meter for each resource of the payload that is one, by path."""
    found: dict[str, Renderable] = {}
    for path in payload.bodies:
        ring = RINGS.get(path.rpartition("/")[2])
        tree = payload.tree(path)
        if ring is not None and isinstance(tree, dict):
            found[path] = Meter(tree, ring, live, newest_first=newest_first)
    return found
