"""Where a BMC keeps the power of its server: what all sources share, and the first of them, DCMI."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from energyrecorder.clock import Clock
from energyrecorder_execd.readers.ipmi import dcmi
from energyrecorder_execd.readers.ipmi.device import Device
from energyrecorder_execd.readers.ipmi.transport import NETFN_GROUP, Bridge, Transport, ask

_MOVES = 3


@dataclass(frozen=True, slots=True)
class Power:
    """What one source says in one poll.

    Args:
        watts: The power; None if the source has no valid value now.
        source: ``dcmi`` or ``sdr``.
        sampled_at_ns: Middle of the request, nanoseconds since the Unix epoch, UTC.
        latency_s: From request to answer, seconds.
        why: What is wrong when ``watts`` is None, naming resource and attribute.
        side: Side of the power supply.
        quantum_w: Step of the values; None unknown.
        accuracy_pct: As declared; None unknown.
        avg_w: The BMC's own statistics, likewise ``min_w`` and ``max_w``; None if it has none.
        statistics_s: Period of these statistics; None unknown.
    """

    watts: float | None
    source: str
    sampled_at_ns: int
    latency_s: float
    why: str = ""
    side: str = "unknown"
    quantum_w: float | None = None
    accuracy_pct: float | None = None
    avg_w: float | None = None
    min_w: float | None = None
    max_w: float | None = None
    statistics_s: float | None = None


class Source(Protocol):
    """One place to read the power from.

    Attributes:
        name: As `energyrecorder.schema.SOURCES` spells it.
    """

    name: str

    async def read(self, device: Device) -> Power:
        """Read the power once.

        Args:
            device: The BMC, as it described itself after the last log-in.

        Raises:
            CompletionCodeError: The BMC refuses.
            BmcDataError: It has nothing of the kind (reason ``unsupported``), or answers with nonsense.
            BmcError: It does not answer.
        """


class DcmiSource:
    """DCMI Get Power Reading: one request, with the BMC's own statistics.

    A reading whose state bit says "not measuring" is no value, unless the value moves while the bit stays:
    phosphor-host-ipmid of OpenBMC (its issue 167) says so for ever. That is learned and remembered.

    Args:
        transport: The way to the BMC.
        bridge: The satellite controller to ask; None asks the BMC itself.
        facts: What is remembered of this BMC; ``dcmi_bit_lies`` is kept here.
        clock: Wall clock.
    """

    name = "dcmi"

    def __init__(
        self, transport: Transport, bridge: Bridge | None, facts: MutableMapping[str, Any], clock: Clock
    ) -> None:
        self._transport = transport
        self._bridge = bridge
        self._facts = facts
        self._clock = clock
        self._while_inactive: set[int] = set()

    async def read(self, device: Device) -> Power:  # noqa: ARG002  # part of the contract of sources
        """Read the power once; see `Source`."""
        answer = await ask(
            self._transport,
            NETFN_GROUP,
            dcmi.GET_POWER_READING,
            dcmi.REQUEST,
            bridge=self._bridge,
            clock=self._clock,
        )
        reading = dcmi.parse(answer.data)
        measuring = reading.active or self._moves(reading.current_w)
        why = ""
        if not measuring:
            why = "DCMI Get Power Reading: state says that it does not measure"
        elif reading.current_w is None:
            why = "DCMI Get Power Reading: current power is FFFFh"
        return Power(
            watts=None if why else reading.current_w,
            source=self.name,
            sampled_at_ns=answer.sampled_at_ns,
            latency_s=answer.latency_s,
            why=why,
            quantum_w=dcmi.QUANTUM_W,
            avg_w=reading.avg_w if measuring else None,
            min_w=reading.min_w if measuring else None,
            max_w=reading.max_w if measuring else None,
            statistics_s=reading.period_s or None,
        )

    def _moves(self, current_w: int | None) -> bool:
        if current_w and not self._facts.get("dcmi_bit_lies"):
            self._while_inactive.add(current_w)
            if len(self._while_inactive) >= _MOVES:
                self._facts["dcmi_bit_lies"] = True
        return bool(self._facts.get("dcmi_bit_lies"))
