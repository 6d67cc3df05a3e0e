"""Histories of power that makers put beside what Redfish has, for BMCs that show them as texts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from energyrecorder_bmcsim.live import Record
from energyrecorder_bmcsim.power import NS_PER_S
from energyrecorder_bmcsim.redfish.ring import Ring

_ZONE = dt.timezone(dt.timedelta(hours=2))
"""Of BMCs that show their local time without saying so."""


def _tsm(record: Record, clock_ns: int) -> Mapping[str, Any]:
    return {
        "avgPower": str(round(record.average_w)),
        "maxPower": str(round(record.peak_w)),
        "minPower": str(round(record.least_w)),
        "timeStamp": dt.datetime.fromtimestamp(clock_ns // NS_PER_S, _ZONE).strftime("%Y-%m-%d %H:%M:%S"),
    }


def _metric(record: Record, clock_ns: int) -> Mapping[str, Any]:
    stamp = dt.datetime.fromtimestamp(clock_ns // NS_PER_S, dt.UTC).isoformat()
    return {"MetricValue": str(round(record.average_w)), "Timestamp": stamp}


HISTORIES: Mapping[str, Ring] = {
    # Lenovo TSM, by its manual: 30 s apart, oldest first. It does not say how many; here two hours.
    "/HistoryPowerMeter/PsuAC": Ring(30, 240, "historyPower", _tsm),
    # Supermicro SYS-821GE-TNHR: an hour, newest first, each with the power that it is the average of.
    "/MetricReports/AvgPowerConsumptionHour": Ring(300, 12, "MetricValues", _metric, newest_first=True),
}
"""End of the path → what is kept there."""
