"""Reads the sensor data records of a BMC that are in watts, going on where a cancelled poll stopped."""

from __future__ import annotations

from dataclasses import dataclass

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.ipmi import sdr
from energyrecorder_execd.readers.ipmi.sdr import Sensor
from energyrecorder_execd.readers.ipmi.transport import (
    INSUFFICIENT_PRIVILEGE,
    NETFN_SENSOR,
    NETFN_STORAGE,
    RESERVATION_CANCELED,
    TRANSIENT_CODES,
    Bridge,
    CompletionCodeError,
    Transport,
    ask,
)

_LAST_RECORD = 0xFFFF
_WHOLE_RECORD = 0xFF
_MAX_RECORDS = 4096
_MAX_RESERVATIONS = 20
_CHUNK_BYTES = 16
_UNIT_AT = 21
_PEEK_BYTES = _UNIT_AT + 1
_INFO_BYTES = 13
_RESERVATION_BYTES = 2
_INVALID_CODES = frozenset({0xC1, 0xC2, 0xCC, INSUFFICIENT_PRIVILEGE})
# "Cannot return that many bytes" and what BMCs say instead of it.
_TOO_MANY_BYTES = frozenset({0xC7, 0xC8, 0xC9, 0xCA, 0xCC, 0xFF})


@dataclass(frozen=True, slots=True)
class Commands:
    """Where a controller keeps its records: the same three commands twice (IPMI 2.0 §33, §35)."""

    netfn: int
    info: int = 0x20
    get: int = 0x23
    reserve: int = 0x22


MAIN = Commands(NETFN_STORAGE)
DEVICE = Commands(NETFN_SENSOR, get=0x21)
"""A satellite controller without a repository tells the records of its own sensors."""


class Repository:
    """The records of one controller.

    Args:
        transport: The way to the BMC.
        bridge: The satellite controller to ask; None asks the BMC itself.
    """

    def __init__(self, transport: Transport, bridge: Bridge | None) -> None:
        self._transport = transport
        self._bridge = bridge
        self._commands = MAIN
        self._restart()

    def _restart(self) -> None:
        self._watts: list[bytes] = []
        self._seen: set[int] = set()
        self._next_id = 0
        self._reservation: bytes | None = None
        self._reservations = 0
        self._whole = True

    async def stamp(self) -> str:
        """Return what changes when the records do: their count and times of change.

        Raises:
            CompletionCodeError: The controller has no records at all.
            BmcError: It does not answer.
        """
        try:
            data = await self._ask(MAIN, MAIN.info)
        except CompletionCodeError as error:
            if error.code not in _INVALID_CODES:
                raise
        else:
            # Version, count, free space (which changes with nothing of ours), times of addition and erasure.
            if data[1:3] != b"\0\0":
                self._commands = MAIN
                return (data[:3] + data[5:_INFO_BYTES]).hex()
        self._commands = DEVICE
        return "device/" + (await self._ask(DEVICE, DEVICE.info)).hex()

    async def watts_records(self) -> list[bytes]:
        """Return the full sensor records whose unit is watts, in the repository's order.

        300 records at 20 ms each take longer than a poll may: what was read so far is kept, and the next
        call goes on from there.

        Raises:
            BmcError: The controller refuses or does not answer.
            BmcDataError: The records do not end.
        """
        while self._next_id != _LAST_RECORD:
            if len(self._seen) >= _MAX_RECORDS or self._next_id in self._seen:
                self._restart()
                raise BmcDataError("sensor data repository: the records do not end", reason="data")
            try:
                following, record = await self._read(self._next_id)
            except CompletionCodeError as error:
                if error.code in TRANSIENT_CODES:
                    raise  # what was read so far stays
                if error.code != RESERVATION_CANCELED or self._reservations >= _MAX_RESERVATIONS:
                    self._restart()
                    raise
                self._reservation = None
                continue
            if _is_watts(record):
                self._watts.append(record)
            self._seen.add(self._next_id)
            self._next_id = following
        found = self._watts
        self._restart()
        return found

    async def _read(self, record_id: int) -> tuple[int, bytes]:
        """Return the id of the next record, and as much of this one as tells whether it is of interest."""
        if self._reservation is None:
            self._reservations += 1
            data = await self._ask(self._commands, self._commands.reserve)
            if len(data) < _RESERVATION_BYTES:
                raise BmcDataError(f"Reserve SDR Repository: {len(data)} bytes instead of 2", reason="data")
            self._reservation = data[:_RESERVATION_BYTES]
        if self._whole:
            try:
                return await self._get(record_id, 0, _WHOLE_RECORD)
            except CompletionCodeError as error:
                if error.code not in _TOO_MANY_BYTES:
                    raise
                self._whole = False
        try:
            following, record = await self._get(record_id, 0, _PEEK_BYTES)
        except CompletionCodeError as error:
            if error.code not in _TOO_MANY_BYTES:
                raise
            following, record = await self._get(record_id, 0, sdr.HEADER_BYTES)
        if _may_be_watts(record):
            record = await self._complete(record_id, record)
        return following, record

    async def _complete(self, record_id: int, record: bytes) -> bytes:
        end = sdr.HEADER_BYTES + record[4]
        while len(record) < end:
            count = min(_CHUNK_BYTES, end - len(record))
            _, more = await self._get(record_id, len(record), count)
            if not more:
                break
            record += more
        return record

    async def _get(self, record_id: int, offset: int, count: int) -> tuple[int, bytes]:
        request = (self._reservation or b"\0\0") + record_id.to_bytes(2, "little") + bytes((offset, count))
        data = await self._ask(self._commands, self._commands.get, request)
        least = 2 if offset else 2 + sdr.HEADER_BYTES
        if len(data) < least:
            raise BmcDataError(f"Get SDR of record {record_id:04X}h: {len(data)} bytes", reason="data")
        return int.from_bytes(data[:2], "little"), data[2:]

    async def _ask(self, commands: Commands, command: int, data: bytes = b"") -> bytes:
        return (await ask(self._transport, commands.netfn, command, data, bridge=self._bridge)).data


def parsed(record: bytes) -> Sensor | None:
    """Return the sensor of a record; None for one that is malformed, which does not spoil the others."""
    try:
        return sdr.parse(record)
    except BmcDataError:
        return None


def _may_be_watts(record: bytes) -> bool:
    if record[3] != sdr.FULL_SENSOR:
        return False
    return len(record) <= _UNIT_AT or record[_UNIT_AT] == sdr.UNIT_WATTS


def _is_watts(record: bytes) -> bool:
    return record[3] == sdr.FULL_SENSOR and record[_UNIT_AT : _UNIT_AT + 1] == bytes((sdr.UNIT_WATTS,))
