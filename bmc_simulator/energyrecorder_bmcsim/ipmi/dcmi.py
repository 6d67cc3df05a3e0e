"""DCMI 1.5: capabilities and power reading."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder_bmcsim.ipmi.controller import Call, Command, CommandTable, Privilege
from energyrecorder_bmcsim.ipmi.faults import FaultPlan, Kind
from energyrecorder_bmcsim.ipmi.message import Completion, NetFn, RefusedError
from energyrecorder_bmcsim.ipmi.session import NS_PER_S
from energyrecorder_bmcsim.ipmi.settings import ControllerSettings, ReadingSource

_CONFORMANCE = bytes((1, 5, 2))
_CAPABILITIES = {
    1: bytes((0x00, 0x01, 0x01)),
    2: bytes((0x00, 0x00, 0x00, 0x00, 0x01)),
    3: bytes((0x20, 0x00)),
    4: bytes((0x01, 0xFF, 0xFF)),
    5: bytes((0x00,)),
}
"""Parameter → data (DCMI 1.5 table 6-3): power management; no SEL; BMC meters itself; LAN channel 1; no
rolling averages."""

_NO_STATISTICS = {"minimum_w": 0, "maximum_w": 0, "average_w": 0, "active": False}
_DISTORTIONS: Mapping[Kind, Mapping[str, Any]] = {
    "dcmi_zero": {"current_w": 0, **_NO_STATISTICS},
    "dcmi_inactive": {"active": False},
    "dcmi_stats_zero": {"time_s": 0, **_NO_STATISTICS},
    "dcmi_stats_extreme": {"minimum_w": 0, "maximum_w": 0xFFFF},
}
"""Fault → what it changes in a reading."""

_MODE_STATISTICS = 0x01
_ACTIVE = 0x40
_MOST_W = 0xFFFF
_STATISTICS_POINTS = 12
_SHORT_SIZE = 8


@dataclass(frozen=True, slots=True)
class PowerReading:
    """What Get Power Reading tells (DCMI 1.5 §6.6.1, mode 1).

    Args:
        current_w: Present power, watts, 0..65535.
        minimum_w: Least of the statistics window.
        maximum_w: Greatest of the statistics window.
        average_w: Mean of the statistics window.
        time_s: The BMC's time, seconds since 1970.
        period_ms: Statistics window, milliseconds.
        active: Whether power measurement is active.
    """

    current_w: int
    minimum_w: int
    maximum_w: int
    average_w: int
    time_s: int
    period_ms: int
    active: bool

    def encode(self) -> bytes:
        """Return the 17 octets that follow the group id."""
        return struct.pack(
            "<4H2IB",
            self.current_w,
            self.minimum_w,
            self.maximum_w,
            self.average_w,
            self.time_s & 0xFFFFFFFF,
            self.period_ms,
            _ACTIVE if self.active else 0,
        )


class PowerMeter:
    """The DCMI commands of a controller.

    Args:
        settings: The controller.
        source: Where watts come from.
        faults: What goes wrong.
        started_ns: Start of the BMC, nanoseconds since the Unix epoch, UTC: statistics begin there.
    """

    def __init__(
        self, settings: ControllerSettings, source: ReadingSource, faults: FaultPlan, started_ns: int
    ) -> None:
        self._settings = settings
        self._source = source
        self._faults = faults
        self._started_ns = started_ns

    def commands(self) -> CommandTable:
        """Return its commands."""
        return {
            (NetFn.GROUP, 0x01): Command(self._capabilities, lengths=(1,), privilege=Privilege.NONE),
            (NetFn.GROUP, 0x02): Command(self._power_reading, lengths=(3,)),
        }

    def _capabilities(self, call: Call) -> bytes:
        """Get DCMI Capabilities Info (DCMI 1.5 §6.1.1)."""
        data = _CAPABILITIES.get(call.data[0])
        if data is None:
            raise RefusedError(Completion.INVALID_DATA)
        return _CONFORMANCE + data

    def _power_reading(self, call: Call) -> bytes:
        """Get Power Reading (DCMI 1.5 §6.6.1)."""
        if call.data[0] != _MODE_STATISTICS:
            raise RefusedError(Completion.INVALID_DATA)
        octets = self._distorted(self.read(call.now_ns), call.now_ns).encode()
        return octets[:_SHORT_SIZE] if self._faults.strikes("dcmi_short", call.now_ns) else octets

    def read(self, now_ns: int) -> PowerReading:
        """Return the reading at ``now_ns`` (UTC); not active and 0 when the source shows none."""
        window_ns = min(round(self._settings.statistics_window_s * NS_PER_S), now_ns - self._started_ns)
        step_ns = max(0, window_ns) // (_STATISTICS_POINTS - 1)
        past = [self._watts(now_ns - index * step_ns) for index in range(_STATISTICS_POINTS)]
        known = [power_w for power_w in past if power_w is not None]
        time_s = now_ns // NS_PER_S + self._settings.clock_offset_s
        period_ms = round(self._settings.statistics_window_s * 1000)
        if past[0] is None:
            return PowerReading(0, 0, 0, 0, time_s, period_ms, active=False)
        average_w = round(sum(known) / len(known))
        return PowerReading(past[0], min(known), max(known), average_w, time_s, period_ms, active=True)

    def _watts(self, at_ns: int) -> int | None:
        power_w = self._source.watts(at_ns) * self._settings.share
        return None if math.isnan(power_w) else min(_MOST_W, max(0, math.floor(power_w + 0.5)))

    def _distorted(self, reading: PowerReading, now_ns: int) -> PowerReading:
        for kind, changes in _DISTORTIONS.items():
            if self._faults.strikes(kind, now_ns):
                reading = replace(reading, **changes)
        if self._faults.strikes("dcmi_time_1970", now_ns):
            reading = replace(reading, time_s=(now_ns - self._started_ns) // NS_PER_S)
        return reading
