"""Sensors of a controller: from a value to the raw byte, Get Sensor Reading."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from energyrecorder_bmcsim.ipmi.controller import Call, Command, CommandTable
from energyrecorder_bmcsim.ipmi.faults import FaultPlan
from energyrecorder_bmcsim.ipmi.message import Completion, NetFn, RefusedError
from energyrecorder_bmcsim.ipmi.settings import (
    READING_THRESHOLD,
    ControllerSettings,
    ReadingSource,
    SdrSensor,
)

_EVENTS_ENABLED = 0x80
_SCANNING = 0x40
_UNAVAILABLE = 0x20
_RESERVED_ONES = 0xC0
_LUNS = range(4)
_NUMBERS = range(1, 0xFF)
_KNEE = 0x80 - 1
_WIDER = 4


def raw_reading(sensor: SdrSensor, value: float) -> int:
    """Return the raw byte whose value is nearest, 0..255; the ends of the range hold what lies beyond.

    Args:
        sensor: Its factors.
        value: In the sensor's unit.
    """
    if sensor.non_linear:
        m, b = factors(sensor, 0xFF if value / 10.0**sensor.r_exp / sensor.m > _KNEE else 0)
        sensor = replace(sensor, m=m, b=b, non_linear=False)
    scale, offset = 10.0**sensor.r_exp, sensor.b * 10.0**sensor.b_exp
    nearest = math.floor((value / scale - offset) / sensor.m + 0.5)
    if sensor.signed:
        return min(0x7F, max(-0x80, nearest)) & 0xFF
    return min(0xFF, max(0, nearest))


def factors(sensor: SdrSensor, raw: int) -> tuple[int, int]:
    """Return M and B of one reading; the lines below and above the knee of a non-linear sensor meet there."""
    if not sensor.non_linear or raw < _KNEE:
        return sensor.m, sensor.b
    m = sensor.m * _WIDER
    return m, (sensor.m - m) * _KNEE


def place(sensors: Iterable[SdrSensor]) -> dict[tuple[int, int], SdrSensor]:
    """Return LUN and number of each sensor, in their order.

    Args:
        sensors: Those without a number take the free ones in order, LUN by LUN: a LUN has room for 254.
    """
    sensors = tuple(sensors)
    taken = {(0, sensor.number) for sensor in sensors}
    free = (key for key in product(_LUNS, _NUMBERS) if key not in taken)
    return {(0, sensor.number) if sensor.number else next(free): sensor for sensor in sensors}


def factor_octets(m: int, b: int, sensor: SdrSensor) -> bytes:
    """Return M, B and the exponents as records and Get Sensor Reading Factors carry them."""
    exponents = (sensor.r_exp & 0x0F) << 4 | sensor.b_exp & 0x0F
    return bytes((m & 0xFF, m >> 2 & 0xC0, b & 0xFF, b >> 2 & 0xC0, 0, exponents))


class SensorDevice:
    """The sensors of a controller.

    Args:
        settings: The controller and its sensors.
        source: Where watts come from.
        faults: What goes wrong.
    """

    def __init__(self, settings: ControllerSettings, source: ReadingSource, faults: FaultPlan) -> None:
        self._share = settings.share
        self._source = source
        self._faults = faults
        self.sensors = place(settings.sensors)

    def commands(self) -> CommandTable:
        """Return its commands."""
        return {
            (NetFn.SENSOR, 0x23): Command(self._factors, lengths=(2,)),
            (NetFn.SENSOR, 0x27): Command(self._thresholds, lengths=(1,)),
            (NetFn.SENSOR, 0x2D): Command(self._reading, lengths=(1,)),
        }

    def _factors(self, call: Call) -> bytes:
        """Get Sensor Reading Factors (IPMI 2.0 §35.5)."""
        sensor = self._find(call)
        raw = call.data[1]
        return bytes((min(raw + 1, 0xFF),)) + factor_octets(*factors(sensor, raw), sensor)

    def _thresholds(self, call: Call) -> bytes:
        """Get Sensor Thresholds (IPMI 2.0 §35.9): none is readable."""
        self._find(call)
        return bytes(7)

    def _reading(self, call: Call) -> bytes:
        """Get Sensor Reading (IPMI 2.0 §35.14)."""
        sensor = self._find(call)
        value = self._value(sensor, call.now_ns)
        state = _EVENTS_ENABLED
        if sensor.scanning and not self._faults.strikes("sensor_scanning_off", call.now_ns):
            state |= _SCANNING
        if value is None or self._faults.strikes("sensor_unavailable", call.now_ns):
            return bytes((0, state | _UNAVAILABLE, _RESERVED_ONES))
        if sensor.reading_type == READING_THRESHOLD:
            return bytes((raw_reading(sensor, value), state, _RESERVED_ONES))
        return bytes((0, state)) + (int(value) | 0x8000).to_bytes(2, "little")

    def _find(self, call: Call) -> SdrSensor:
        sensor = self.sensors.get((call.request.lun, call.data[0]))
        if sensor is None:
            raise RefusedError(Completion.NOT_PRESENT)
        return sensor

    def _value(self, sensor: SdrSensor, now_ns: int) -> float | None:
        if not sensor.available or (sensor.needs_host and not self._source.host_on(now_ns)):
            return None
        if sensor.constant is not None:
            return sensor.constant
        watts = self._source.watts(now_ns) * self._share * sensor.share
        return None if math.isnan(watts) else watts
