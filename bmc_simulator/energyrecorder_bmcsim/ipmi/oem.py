"""Commands of single makers: Intel's Node Manager and Lenovo's energy counters.

Bytes: Node Manager as ipmitool 1.8.19 (``lib/ipmi_nm.c``) asks for and decodes it; the counters as pyghmi's
handler for Lenovo servers does.
"""

from __future__ import annotations

import math
import struct

from energyrecorder_bmcsim.ipmi.controller import Call, Command, CommandTable
from energyrecorder_bmcsim.ipmi.dcmi import PowerMeter
from energyrecorder_bmcsim.ipmi.message import Completion, NetFn, RefusedError
from energyrecorder_bmcsim.ipmi.session import NS_PER_S
from energyrecorder_bmcsim.ipmi.settings import ReadingSource

INTEL = (343).to_bytes(3, "little")
LENOVO = (19046).to_bytes(3, "little")

_GLOBAL_POWER = 0x01
_STATE_ALL = 0xF0
_HANDLE = 0x05
_FOUND = bytes((0x00, 0x02, 0x09, _HANDLE))
_FIND = bytes((0x00, 0x00, 0x01))
_SIDES = {bytes((_HANDLE, 0x01, 0x82, 0x01, 0x08)): "ac", bytes((_HANDLE, 0x01, 0x82, 0x00, 0x08)): "dc"}
_DC_SHARE = 0.92
_OEM_LENGTHS = range(3, 0x100)


class NodeManager:
    """Get Node Manager Statistics of the entire platform.

    Args:
        meter: Where its figures come from.
    """

    def __init__(self, meter: PowerMeter) -> None:
        self._meter = meter

    def commands(self) -> CommandTable:
        """Return its command."""
        return {(NetFn.OEM_GROUP, 0xC8): Command(self._statistics, lengths=_OEM_LENGTHS)}

    def _statistics(self, call: Call) -> bytes:
        if call.data[:3] != INTEL:
            raise RefusedError(Completion.INVALID_COMMAND)
        if len(call.data) != len(INTEL) + 3:
            raise RefusedError(Completion.LENGTH_INVALID)
        mode, domain, _ = call.data[3:]
        if mode != _GLOBAL_POWER or domain:
            raise RefusedError(Completion.INVALID_DATA)
        reading = self._meter.read(call.now_ns)
        return INTEL + struct.pack(
            "<4H2IB",
            *(reading.current_w, reading.minimum_w, reading.maximum_w, reading.average_w),
            *(reading.time_s & 0xFFFFFFFF, reading.period_ms // 1000),
            _STATE_ALL if reading.active else _STATE_ALL & ~0x40,
        )


class EnergyCounters:
    """Energy in millijoules since the start, on the AC and on the DC side of the power supplies.

    Args:
        source: Where watts come from; what it cannot tell counts as 0.
        share: Part of them that belongs to this controller.
        started_ns: When counting began, nanoseconds since the Unix epoch, UTC.
    """

    def __init__(self, source: ReadingSource, share: float, started_ns: int) -> None:
        self._source = source
        self._share = share
        self._counted_ns = started_ns
        self._energy_j = 0.0

    def commands(self) -> CommandTable:
        """Return its commands."""
        return {
            (NetFn.OEM_GROUP, 0x82): Command(self._find, lengths=_OEM_LENGTHS),
            (NetFn.OEM_GROUP, 0x81): Command(self._read, lengths=_OEM_LENGTHS),
        }

    def _find(self, call: Call) -> bytes:
        if call.data != LENOVO + _FIND:
            raise RefusedError(Completion.INVALID_COMMAND)
        return LENOVO + _FOUND

    def _read(self, call: Call) -> bytes:
        side = _SIDES.get(call.data[3:])
        if call.data[:3] != LENOVO or side is None:
            raise RefusedError(Completion.INVALID_COMMAND)
        energy_j = self._count(call.now_ns) * (1.0 if side == "ac" else _DC_SHARE)
        return LENOVO + round(energy_j * 1000).to_bytes(8, "big")

    def _count(self, now_ns: int) -> float:
        """Add what was drawn since the last look, in steps of a second at most, and return the sum."""
        while self._counted_ns < now_ns:
            step_ns = min(NS_PER_S, now_ns - self._counted_ns)
            watts = self._source.watts(self._counted_ns + step_ns // 2) * self._share
            self._energy_j += 0.0 if math.isnan(watts) else watts * step_ns / NS_PER_S
            self._counted_ns += step_ns
        return self._energy_j
