"""The energy counters of Lenovo and IBM servers: cumulative millijoules on the AC or the DC side.

Bytes: pyghmi 1.6, ``pyghmi/ipmi/oem/lenovo/energy.py`` (written by Lenovo): 2Eh/82h finds the handle of the
counters, 2Eh/81h reads one, most significant byte first; a server without an AC counter refuses with CBh.
"""

from __future__ import annotations

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcDataError, BmcError
from energyrecorder_execd.readers.ipmi.device import Device
from energyrecorder_execd.readers.ipmi.transport import (
    NETFN_OEM_GROUP,
    SENSOR_NOT_PRESENT,
    TRANSIENT_CODES,
    CompletionCodeError,
    Transport,
    ask,
)

READ, FIND = 0x81, 0x82
MANUFACTURERS = frozenset({19046, 20301})
EVERY_S = 60.0
"""Counters cost requests of their own, so they are read once a minute."""

_FIND_DATA = b"\x00\x00\x01"
_KNOWN_VERSIONS = frozenset({b"\x02\x01", b"\x02\x06", b"\x02\x09"})
_AC, _DC = b"\x01\x82\x01\x08", b"\x01\x82\x00\x08"
_HANDLE_AT = 6
_COUNTER_BYTES = 11


class EnergyCounter:
    """One server's energy counter: the AC side where there is one, else the DC side.

    Args:
        transport: The way to the BMC.
        clock: Wall clock.
    """

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._prefix: bytes | None = None
        self._which = _AC
        self._lacking_key = ""
        self._worked = False
        self._read_ns: int | None = None

    async def read(self, device: Device) -> float | None:
        """Return the counter in joules; None when it is not due, or the server has none.

        A server that refuses or is silent before its counter was ever read has none; no failure costs the
        reading of the power that this stands beside.
        """
        now_ns = self._clock()
        if device.manufacturer not in MANUFACTURERS or self._lacking_key == device.key():
            return None
        if self._read_ns is not None and 0 <= now_ns - self._read_ns < EVERY_S * 1e9:
            return None
        self._read_ns = now_ns
        try:
            counter_j = await self._counter()
        except BmcError as error:
            transient = isinstance(error, CompletionCodeError) and error.code in TRANSIENT_CODES
            if not self._worked and not transient:
                self._lacking_key = device.key()
            self._prefix = None
            return None
        self._worked = True
        return counter_j

    async def _counter(self) -> float:
        if self._prefix is None:
            self._prefix = await self._find()
        try:
            data = await self._ask(READ, self._prefix + self._which)
        except CompletionCodeError as error:
            if error.code != SENSOR_NOT_PRESENT or self._which == _DC:
                raise
            self._which = _DC
            data = await self._ask(READ, self._prefix + self._which)
        if len(data) != _COUNTER_BYTES:
            raise BmcDataError(f"energy counter of {len(data)} bytes", reason="data")
        return int.from_bytes(data[3:], "big") / 1000

    async def _find(self) -> bytes:
        """Return what each read begins with: number of the maker of these commands, and the handle."""
        refusal: CompletionCodeError | None = None
        for maker in sorted(MANUFACTURERS):
            iana = maker.to_bytes(3, "little")
            try:
                data = await self._ask(FIND, iana + _FIND_DATA)
            except CompletionCodeError as error:
                refusal = error
                continue
            if len(data) <= _HANDLE_AT or data[4:6] not in _KNOWN_VERSIONS:
                raise BmcDataError("energy counters of an unknown version", reason="unsupported")
            return iana + data[_HANDLE_AT : _HANDLE_AT + 1]
        raise refusal or AssertionError("no maker was asked for")

    async def _ask(self, command: int, data: bytes) -> bytes:
        return (await ask(self._transport, NETFN_OEM_GROUP, command, data, clock=self._clock)).data
