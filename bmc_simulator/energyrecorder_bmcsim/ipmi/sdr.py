"""Sensor data records: octets of full sensor and controller locator records, the repository's commands."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from energyrecorder_bmcsim.ipmi.controller import Call, Command, CommandTable
from energyrecorder_bmcsim.ipmi.faults import FaultPlan
from energyrecorder_bmcsim.ipmi.message import Completion, NetFn, RefusedError
from energyrecorder_bmcsim.ipmi.sensors import factor_octets
from energyrecorder_bmcsim.ipmi.session import NS_PER_S
from energyrecorder_bmcsim.ipmi.settings import READING_THRESHOLD, ControllerSettings, SdrSensor

SDR_VERSION = 0x51
TYPE_FULL = 0x01
TYPE_CONTROLLER = 0x12
_LAST_RECORD = 0xFFFF
_WHOLE_RECORD = 0xFF
_TEXT_8_BIT = 0xC0
_FORMAT_SIGNED = 0x80
_FORMAT_NONE = 0xC0
_RESERVE_SUPPORTED = 0x02
_NON_MODAL = 0x20
_NON_LINEAR = 0x70


def full_sensor_record(sensor: SdrSensor, *, owner: int, lun: int, number: int) -> bytes:
    """Return a full sensor record from the SDR version on (IPMI 2.0 §43.1).

    Args:
        sensor: The sensor.
        owner: Slave address of the controller that has it.
        lun: Logical unit on which it is.
        number: Its number.
    """
    analog = sensor.reading_type == READING_THRESHOLD
    units = (_FORMAT_SIGNED if sensor.signed else 0) if analog else _FORMAT_NONE
    key = struct.pack("<3B", owner, lun, number)
    body = struct.pack(
        "<6B3H",
        sensor.entity_id,
        sensor.entity_instance,
        0x41,  # scanning is initialised and starts enabled
        0x43,  # re-arms itself; no hysteresis, no thresholds, no events
        sensor.sensor_type,
        sensor.reading_type,
        0,
        0,
        0 if analog else 0x7FFF,
    )
    linearisation = _NON_LINEAR if sensor.non_linear else 0
    factors = bytes((units, sensor.unit if analog else 0, 0, linearisation))
    factors += factor_octets(0 if sensor.non_linear else sensor.m, sensor.b, sensor)
    # No nominal or normal values; raw maximum and minimum; thresholds, hysteresis, reserved, OEM.
    limits = bytes((0, 0, 0, 0, *((0x7F, 0x80) if sensor.signed else (0xFF, 0x00)))) + bytes(11)
    return _record(TYPE_FULL, key + body + factors + limits + _id_string(sensor.name))


def controller_locator_record(controller: ControllerSettings) -> bytes:
    """Return the management controller device locator record of a satellite (IPMI 2.0 §43.9)."""
    capabilities = 0x09  # FRU inventory, sensors
    body = bytes((controller.address, controller.channel, 0x00, capabilities, 0, 0, 0, 0x2E, 0x01, 0x00))
    return _record(TYPE_CONTROLLER, body + _id_string(controller.product_name))


def _record(record_type: int, body: bytes) -> bytes:
    return bytes((SDR_VERSION, record_type, len(body))) + body


def _id_string(name: str) -> bytes:
    octets = name.encode("ascii", "replace")[:16]
    return bytes((_TEXT_8_BIT | len(octets),)) + octets


@dataclass(frozen=True, slots=True)
class _Reservation:
    number: int
    revision: int


class SdrRepository:
    """The SDR repository of a controller.

    Args:
        settings: The controller: delay and limit of Get SDR.
        records: Its records from the SDR version on; record ids count from 1.
        faults: What goes wrong.
        started_ns: Moment of the repository's time stamp, nanoseconds since the Unix epoch, UTC.
    """

    def __init__(
        self, settings: ControllerSettings, records: tuple[bytes, ...], faults: FaultPlan, started_ns: int
    ) -> None:
        self._settings = settings
        self._records = tuple(
            struct.pack("<H", number) + record for number, record in enumerate(records, start=1)
        )
        self._faults = faults
        self._changed_s = started_ns // NS_PER_S
        self._looked_ns = started_ns
        self._revision = 0
        self._reservation = _Reservation(0, -1)

    def commands(self) -> CommandTable:
        """Return its commands."""
        return {
            (NetFn.STORAGE, 0x20): Command(self._info),
            (NetFn.STORAGE, 0x22): Command(self._reserve),
            (NetFn.STORAGE, 0x23): Command(self._get, lengths=(6,)),
            (NetFn.STORAGE, 0x28): Command(self._time),
            (NetFn.STORAGE, 0x48): Command(self._time),
        }

    def _info(self, call: Call) -> bytes:
        """Get SDR Repository Info (IPMI 2.0 §33.9)."""
        self._notice_change(call.now_ns)
        return struct.pack(
            "<BHHIIB",
            SDR_VERSION,
            len(self._records),
            0,
            self._changed_s + self._settings.clock_offset_s,
            0,
            _NON_MODAL | _RESERVE_SUPPORTED,
        )

    def _reserve(self, call: Call) -> bytes:
        """Reserve SDR Repository (IPMI 2.0 §33.11): the earlier reservation is gone."""
        self._notice_change(call.now_ns)
        self._reservation = _Reservation(self._reservation.number % 0xFFFF + 1, self._revision)
        return struct.pack("<H", self._reservation.number)

    def _get(self, call: Call) -> bytes:
        """Get SDR (IPMI 2.0 §33.12); a part from the middle needs the reservation."""
        call.delay_s += self._settings.sdr_latency_s
        self._notice_change(call.now_ns)
        reservation, record_id, offset, count = struct.unpack("<HHBB", call.data)
        good = reservation == self._reservation.number and self._reservation.revision == self._revision
        if (offset or reservation) and not good:
            raise RefusedError(Completion.RESERVATION_CANCELLED)
        index: int = {0: 0, _LAST_RECORD: len(self._records) - 1}.get(record_id, record_id - 1)
        if not 0 <= index < len(self._records):
            raise RefusedError(Completion.NOT_PRESENT)
        record = self._records[index]
        if offset >= len(record):
            raise RefusedError(Completion.PARAMETER_OUT_OF_RANGE)
        part: bytes = record[offset:] if count == _WHOLE_RECORD else record[offset : offset + count]
        if len(part) > self._settings.sdr_read_limit:
            raise RefusedError(Completion.CANNOT_RETURN_LENGTH)
        following = _LAST_RECORD if index + 1 == len(self._records) else index + 2
        return struct.pack("<H", following) + part

    def _time(self, call: Call) -> bytes:
        """Get SDR Repository Time and Get SEL Time (IPMI 2.0 §33.17, §31.10): the BMC's clock."""
        return struct.pack("<I", call.now_ns // NS_PER_S + self._settings.clock_offset_s & 0xFFFFFFFF)

    def _notice_change(self, now_ns: int) -> None:
        if self._faults.began("sdr_changed", self._looked_ns, now_ns):
            self._revision += 1
            self._changed_s = now_ns // NS_PER_S
        self._looked_ns = now_ns
