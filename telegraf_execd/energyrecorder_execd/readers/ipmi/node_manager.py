"""Intel Node Manager: the platform's power from the chipset's own controller, reached through the BMC.

Bytes: Get Node Manager Statistics (2Eh/C8h) as FreeIPMI documents it (ipmi-oem-intel-node-manager templates,
after Intel's "Intelligent Power Node Manager" interface specification); the address 2Ch on channel 6 is the
one that pyghmi uses for Lenovo NeXtScale, channel 0 that of boards with it on the primary IPMB.
"""

from __future__ import annotations

import struct
from collections.abc import MutableMapping
from typing import Any

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcDataError, BmcUnreachableError
from energyrecorder_execd.readers.ipmi.device import Device
from energyrecorder_execd.readers.ipmi.sources import Power
from energyrecorder_execd.readers.ipmi.transport import (
    INSUFFICIENT_PRIVILEGE,
    NETFN_OEM_GROUP,
    TRANSIENT_CODES,
    Answer,
    Bridge,
    CompletionCodeError,
    Transport,
    ask,
)

GET_STATISTICS = 0xC8
INTEL = (343).to_bytes(3, "little")
REQUEST = INTEL + bytes((0x01, 0x00, 0x00))
"""Mode 1 global power, domain 0 the entire platform, policy 0."""

PLACES = (Bridge(0x2C, 6), Bridge(0x2C, 0))
MANUFACTURERS = frozenset({343, 7244, 10876, 19046, 20301})
"""Intel, Quanta, Supermicro, Lenovo, IBM: FreeIPMI's confirmed boards, issue threads, pyghmi."""

_LAYOUT = struct.Struct("<3sHHHHIIB")
_MEASURING = 0x40


class NodeManagerSource:
    """Node Manager statistics: one bridged request.

    A BMC that accepts the message and never brings an answer costs a log-in, so what is not there is
    remembered until BMC or firmware change.

    Args:
        transport: The way to the BMC.
        facts: What is remembered of this BMC; ``node_manager`` is kept here.
        clock: Wall clock.
    """

    name = "oem"

    def __init__(self, transport: Transport, facts: MutableMapping[str, Any], clock: Clock) -> None:
        self._transport = transport
        self._facts = facts
        self._clock = clock

    async def read(self, device: Device) -> Power:
        """Read the power once; see `energyrecorder_execd.readers.ipmi.sources.Source`."""
        if device.manufacturer not in MANUFACTURERS:
            raise BmcDataError("Intel Node Manager: not on boards of this maker", reason="unsupported")
        answer = await self._find(device)
        if len(answer.data) < _LAYOUT.size or answer.data[:3] != INTEL:
            raise BmcDataError(
                f"Intel Node Manager statistics: {len(answer.data)} bytes that begin with "
                f"{answer.data[:3].hex()}, not {_LAYOUT.size} that begin with {INTEL.hex()}",
                reason="data",
            )
        _, current, low, high, average, _, period_s, state = _LAYOUT.unpack_from(answer.data)
        measuring = bool(state & _MEASURING)
        return Power(
            watts=float(current) if measuring else None,
            source=self.name,
            sampled_at_ns=answer.sampled_at_ns,
            latency_s=answer.latency_s,
            why="" if measuring else "Intel Node Manager statistics: measurement is suspended",
            quantum_w=1.0,
            avg_w=float(average) if measuring and average else None,
            min_w=float(low) if measuring and low else None,
            max_w=float(high) if measuring and high else None,
            statistics_s=float(period_s) if period_s else None,
        )

    async def _find(self, device: Device) -> Answer:
        for place in self._places(device):
            try:
                answer = await self._ask(place)
            except CompletionCodeError as error:
                if error.code in TRANSIENT_CODES or error.code == INSUFFICIENT_PRIVILEGE:
                    raise
                continue
            except BmcUnreachableError:
                if self._facts.get("node_manager", {}).get("place"):
                    raise  # it was there: the BMC itself is silent
                continue
            self._remember(device, place)
            return answer
        self._remember(device, None)
        raise BmcDataError("Intel Node Manager: no answer behind this BMC", reason="unsupported")

    async def _ask(self, place: Bridge) -> Answer:
        return await ask(
            self._transport, NETFN_OEM_GROUP, GET_STATISTICS, REQUEST, bridge=place, clock=self._clock
        )

    def _places(self, device: Device) -> tuple[Bridge, ...]:
        """Return where to ask; nothing is left when nobody answered there before."""
        match self._facts.get("node_manager"):
            case {"key": str(key), "place": [int(address), int(channel)]} if key == device.key():
                return (Bridge(address, channel),)
            case {"key": str(key), "place": None} if key == device.key():
                return ()
        self._facts["node_manager"] = {}
        return PLACES

    def _remember(self, device: Device, place: Bridge | None) -> None:
        where = None if place is None else [place.address, place.channel]
        self._facts["node_manager"] = {"key": device.key(), "place": where}
