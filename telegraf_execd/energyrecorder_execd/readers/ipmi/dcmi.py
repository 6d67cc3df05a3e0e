"""DCMI Get Power Reading: its request, and what its raw answer says; pure (DCMI 1.5 §6.6.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from energyrecorder.errors import BmcDataError

GROUP = 0xDC
GET_POWER_READING = 0x02
REQUEST = bytes((GROUP, 0x01, 0x00, 0x00))
"""Mode 1, system power statistics."""

QUANTUM_W = 1.0
"""DCMI tells whole watts; the sensor behind it may be coarser."""

_LAYOUT = struct.Struct("<BHHHH4xIB")
"""The four bytes are the BMC's clock: several stay in 1970 or in local time, so it dates nothing."""

_ACTIVE = 0x40
_NOT_A_VALUE = frozenset({0, 0xFFFF})


@dataclass(frozen=True, slots=True)
class PowerReading:
    """The answer to one Get Power Reading.

    Args:
        current_w: Present power, watts; None where the BMC says FFFFh.
        min_w: Least power over the BMC's own statistics period, watts; None where it is no value: 0, FFFFh,
            or in contradiction to the others. Likewise ``max_w`` and ``avg_w``.
        period_s: Statistics period, seconds.
        active: Whether the BMC says that it measures.
    """

    current_w: int | None
    min_w: int | None
    max_w: int | None
    avg_w: int | None
    period_s: float
    active: bool


def parse(data: bytes) -> PowerReading:
    """Return what the 18 bytes behind the completion code say.

    Raises:
        BmcDataError: Too short, or of another group extension.
    """
    if len(data) < _LAYOUT.size:
        raise BmcDataError(
            f"DCMI Get Power Reading: {len(data)} bytes instead of {_LAYOUT.size}", reason="data"
        )
    group, current, low, high, average, period_ms, state = _LAYOUT.unpack_from(data)
    if group != GROUP:
        raise BmcDataError(f"DCMI Get Power Reading: group extension {group:02X}h, not DCh", reason="data")
    min_w, max_w, avg_w = (None if value in _NOT_A_VALUE else int(value) for value in (low, high, average))
    if min_w is not None and max_w is not None and min_w > max_w:
        min_w = max_w = None
    if avg_w is not None and ((min_w or 0) > avg_w or avg_w > (max_w or avg_w)):
        avg_w = None
    return PowerReading(
        current_w=None if current == 0xFFFF else current,  # noqa: PLR2004  # all ones: no value
        min_w=min_w,
        max_w=max_w,
        avg_w=avg_w,
        period_s=period_ms / 1000,
        active=bool(state & _ACTIVE),
    )
