"""iLO power meters: rings of averaged records, in the order and at the paths of each iLO generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder_bmcsim.live import Record
from energyrecorder_bmcsim.redfish.resources import bmc_time
from energyrecorder_bmcsim.redfish.ring import Ring


def _detail(record: Record, clock_ns: int) -> Mapping[str, Any]:
    average_w = round(record.average_w)
    # The minimum is equal to the average in every 10-s record of the captures.
    return {
        "Average": average_w,
        "Minimum": average_w,
        "Peak": round(record.peak_w),
        "Time": bmc_time(clock_ns),
    }


def _summary(records: Sequence[Record]) -> Mapping[str, Any]:
    averages_w = [round(record.average_w) for record in records]
    return {
        "Average": round(sum(averages_w) / len(averages_w)),
        "Maximum": max(round(record.peak_w) for record in records),
        "Minimum": min(averages_w),
    }


RINGS: Mapping[str, Ring] = {
    "/FastPowerMeter": Ring(10, 120, "PowerDetail", _detail, summary=_summary),
    "/PowerMeter": Ring(300, 288, "PowerDetail", _detail, summary=_summary),
    "/SlowPowerMeter": Ring(3600, 168, "PowerDetail", _detail, summary=_summary),
}
"""End of the path → ring: 20 minutes, a day and a week (five iLO 5 2.46 captures)."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of iLO.

    Args:
        payload: Shipped payload that stands for it.
        newest_first: Whether a ring begins with its newest record.
    """

    payload: str
    newest_first: bool

    @property
    def rings(self) -> Mapping[str, Ring]:
        """Its meters by the end of their path."""
        return {end: replace(ring, newest_first=self.newest_first) for end, ring in RINGS.items()}


GENERATIONS: Mapping[str, Generation] = {
    # iLO 4 2.10: /rest/v1 only, <chassis>/PowerMetrics/FastPowerMeter, PowerDetail[0] is the newest.
    "ilo4-2.10": Generation("hpe-dl360-ilo4-2.10", newest_first=True),
    # iLO 4 2.40: /rest/v1 and /redfish/v1, <chassis>/Power/FastPowerMeter, the newest record last.
    "ilo4-2.40": Generation("hpe-dl360-ilo4-2.40", newest_first=False),
    # iLO 5: /redfish/v1 only, HpePowerMeter, the newest record last.
    "ilo5": Generation("hpe-dl385-ilo5", newest_first=False),
}
