"""Full sensor records and the conversion of raw readings; pure (IPMI 2.0 §43.1, §36)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.ipmi import packed_text

GET_SENSOR_READING = 0x2D
GET_SENSOR_READING_FACTORS = 0x23
FULL_SENSOR = 0x01
HEADER_BYTES = 5
UNIT_WATTS = 0x06

_FULL_SENSOR_BYTES = 48
_FORMAT_UNSIGNED, _FORMAT_ONES, _FORMAT_TWOS = 0, 1, 2
_PERCENTAGE = 0x01
_SCANNING_ENABLED = 0x40
_UNAVAILABLE = 0x20
_BCD_PLUS = "0123456789 -.:,_"
_NON_LINEAR = range(0x70, 0x80)
_FACTOR_BYTES = 6

_LINEARISATIONS: Mapping[int, Callable[[float], float]] = {
    0: lambda y: y,
    1: math.log,
    2: math.log10,
    3: math.log2,
    4: math.exp,
    5: lambda y: math.pow(10.0, y),
    6: math.exp2,
    7: lambda y: 1.0 / y,
    8: lambda y: y * y,
    9: lambda y: y * y * y,
    10: math.sqrt,
    11: math.cbrt,
}
"""IPMI 2.0 table 43-1, byte 24; a sensor of 70h and above is non-linear: each reading has its factors."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What turns raw readings into values (IPMI 2.0 §36.3).

    Args:
        multiplier: M.
        offset: B.
        offset_exponent: K1, applied to B.
        result_exponent: K2, applied to the sum.
        accuracy_pct: As declared; None if it says 0, which means that nobody filled it in.
    """

    multiplier: int
    offset: int
    offset_exponent: int
    result_exponent: int
    accuracy_pct: float | None


@dataclass(frozen=True, slots=True)
class Sensor:
    """One full sensor record, as far as its value needs it.

    Args:
        name: Id string, stripped.
        number: Sensor number.
        owner: Slave address of the controller that answers for it; an odd one is software.
        channel: Channel that the owner sits on.
        lun: Logical unit of the owner.
        base_unit: Unit code; 6 is watts.
        plain_unit: The value is in that unit, neither a rate nor combined with another nor a percentage.
        data_format: 0 unsigned, 1 one's complement, 2 two's complement, 3 not analog.
        linearisation: Formula number; 0 is linear.
        factors: For all readings; of a non-linear sensor they say nothing.
    """

    name: str
    number: int
    owner: int
    channel: int
    lun: int
    base_unit: int
    plain_unit: bool
    data_format: int
    linearisation: int
    factors: Factors

    @property
    def in_watts(self) -> bool:
        """Whether its readings can be turned into watts."""
        return (
            self.base_unit == UNIT_WATTS
            and self.plain_unit
            and self.data_format in {_FORMAT_UNSIGNED, _FORMAT_ONES, _FORMAT_TWOS}
            and (self.non_linear or (self.linearisation in _LINEARISATIONS and self.factors.multiplier != 0))
            and not self.owner & 1
        )

    @property
    def non_linear(self) -> bool:
        """Whether the factors of each reading have to be asked for (§35.5)."""
        return self.linearisation in _NON_LINEAR

    @property
    def quantum(self) -> float | None:
        """The step of its values; None where the formula is not linear and steps differ."""
        factors = self.factors
        return abs(factors.multiplier) * 10.0**factors.result_exponent if self.linearisation == 0 else None

    def convert(self, raw: int, factors: Factors | None = None) -> float | None:
        """Return the value that a raw byte stands for; None where the formula has none.

        y = L[(M · x + B · 10^K1) · 10^K2]; L is the identity for a non-linear sensor (IPMI 2.0 §36.3).

        Args:
            raw: The reading.
            factors: Those of this reading, if the sensor is non-linear.
        """
        used = factors or self.factors
        scaled = used.multiplier * self._signed(raw) + used.offset * 10.0**used.offset_exponent
        formula = _LINEARISATIONS[0 if self.non_linear else self.linearisation]
        try:
            value = formula(scaled * 10.0**used.result_exponent)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return value if math.isfinite(value) else None

    def _signed(self, raw: int) -> int:
        if self.data_format == _FORMAT_UNSIGNED or raw < 0x80:  # noqa: PLR2004  # sign bit
            return raw
        return raw - 0xFF if self.data_format == _FORMAT_ONES else raw - 0x100


def parse(record: bytes) -> Sensor | None:
    """Return the sensor of a full sensor record; None for a record of another type.

    Args:
        record: The whole record with its 5-byte header.

    Raises:
        BmcDataError: A full sensor record that is too short.
    """
    if len(record) < HEADER_BYTES:
        raise BmcDataError(f"sensor data record of {len(record)} bytes", reason="data")
    if record[3] != FULL_SENSOR:
        return None
    if len(record) < _FULL_SENSOR_BYTES:
        raise BmcDataError(
            f"full sensor record of {len(record)} bytes instead of {_FULL_SENSOR_BYTES}", reason="data"
        )
    units = record[20]
    return Sensor(
        name=_id_string(record[47], record[48:]),
        number=record[7],
        owner=record[5],
        channel=record[6] >> 4,
        lun=record[6] & 0x03,
        base_unit=record[21],
        # Rate, modifier prefix and percentage bits: anything but 0 is not plain watts.
        plain_unit=not units & (0x3E | _PERCENTAGE),
        data_format=units >> 6,
        linearisation=record[23] & 0x7F,
        factors=_factors(record[24:30]),
    )


def reading_factors(data: bytes) -> Factors:
    """Return the factors in a Get Sensor Reading Factors answer (§35.5): next reading, then as in a record.

    Raises:
        BmcDataError: Shorter than that, or M is 0, with which all readings would be the same.
    """
    if len(data) < 1 + _FACTOR_BYTES:
        raise BmcDataError(f"IPMI Get Sensor Reading Factors: {len(data)} bytes instead of 7", reason="data")
    found = _factors(data[1:])
    if not found.multiplier:
        raise BmcDataError("IPMI Get Sensor Reading Factors: M is 0", reason="data")
    return found


def reading(data: bytes) -> int | None:
    """Return the raw byte of a Get Sensor Reading answer; None where it is no reading (§35.14).

    Raises:
        BmcDataError: Shorter than reading and flags.
    """
    if len(data) < 2:  # noqa: PLR2004  # reading and flags
        raise BmcDataError(f"IPMI Get Sensor Reading: {len(data)} bytes instead of 2", reason="data")
    if data[1] & _UNAVAILABLE or not data[1] & _SCANNING_ENABLED:
        return None
    return data[0]


def _factors(raw: bytes) -> Factors:
    accuracy = (raw[3] & 0x3F) | (raw[4] & 0xF0) << 2
    return Factors(
        multiplier=_twos(raw[0] | (raw[1] & 0xC0) << 2, 10),
        offset=_twos(raw[2] | (raw[3] & 0xC0) << 2, 10),
        offset_exponent=_twos(raw[5] & 0x0F, 4),
        result_exponent=_twos(raw[5] >> 4, 4),
        accuracy_pct=accuracy * 10.0 ** (raw[4] >> 2 & 0x03) / 100 if accuracy else None,
    )


def _twos(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _id_string(kind: int, raw: bytes) -> str:
    """Return the id string in its four codings (§43.15): 8-bit, BCD plus, 6-bit packed ASCII, Unicode."""
    coding, length = kind >> 6, kind & 0x1F
    raw = raw[:length]
    if coding == packed_text.BCD_PLUS:
        text = packed_text.bcd_plus(raw, _BCD_PLUS)
    elif coding == packed_text.PACKED_ASCII:
        text = packed_text.packed_ascii(raw)
    elif coding == 0:
        text = raw.decode("utf-8", errors="replace")
    else:
        text = raw.decode("latin-1")
    return text.strip(" \0")
