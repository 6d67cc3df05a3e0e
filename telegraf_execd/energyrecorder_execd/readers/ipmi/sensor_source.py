"""The power by the vendor's sensors: found in the sensor data records once, then only those are read."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.ipmi import sdr, vendors
from energyrecorder_execd.readers.ipmi.device import Device
from energyrecorder_execd.readers.ipmi.repository import Repository, parsed
from energyrecorder_execd.readers.ipmi.sdr import Sensor
from energyrecorder_execd.readers.ipmi.sensor_values import SensorValues
from energyrecorder_execd.readers.ipmi.sources import Power
from energyrecorder_execd.readers.ipmi.transport import Bridge, Transport
from energyrecorder_execd.readers.ipmi.vendors import Choice

_PATIENCE = 3


class Presence:
    """Tells a power supply that is not there from one whose reading is missing for a moment.

    A part without a reading is not there if it never had one, or had none in three polls in a row;
    otherwise the sum of the others would be too low, and there is no value.

    Args:
        seen: Sensor numbers that have had a value; remembered across restarts.
    """

    def __init__(self, seen: list[int]) -> None:
        self._seen = seen
        self._missing: dict[int, int] = {}

    def total(self, values: Sequence[tuple[Sensor, float | None]]) -> tuple[float | None, str]:
        """Return the sum of the parts that are there, or None and what is missing.

        Args:
            values: Each part with its reading; None means no reading.
        """
        present: list[float] = []
        missing = ""
        for sensor, value in values:
            if value is not None:
                present.append(value)
                self._missing.pop(sensor.number, None)
                if sensor.number not in self._seen:
                    self._seen.append(sensor.number)
            elif sensor.number in self._seen:
                self._missing[sensor.number] = self._missing.get(sensor.number, 0) + 1
                if self._missing[sensor.number] < _PATIENCE:
                    missing = missing or sensor.name
        if missing or not present:
            return None, f"IPMI sensor {missing or values[0][0].name!r}: no reading"
        return sum(present), ""


@dataclass(frozen=True, slots=True)
class _Chosen:
    choice: Choice
    presence: Presence


class SensorSource:
    """The sensors that the vendor grammar names, converted by their records.

    Args:
        transport: The way to the BMC.
        bridge: The satellite controller to ask; None asks the BMC itself.
        facts: What is remembered of this BMC; the chosen sensors' records are kept under ``sdr``.
        clock: Wall clock.
        pattern: Regular expression for sensor names that replaces the grammar; None uses the grammar.
    """

    name = "sdr"

    def __init__(
        self,
        transport: Transport,
        bridge: Bridge | None,
        facts: MutableMapping[str, Any],
        clock: Clock,
        pattern: str | None = None,
    ) -> None:
        self._transport = transport
        self._bridge = bridge
        self._facts = facts
        self._pattern = pattern
        self._repository = Repository(transport, bridge)
        self._values = SensorValues(transport, bridge, clock)
        self._chosen: _Chosen | None = None
        self._checked_at_log_in = 0

    async def read(self, device: Device) -> Power:
        """Read the power once; see `energyrecorder_execd.readers.ipmi.sources.Source`."""
        if self._chosen is None or self._checked_at_log_in != self._transport.log_ins:
            self._chosen = await self._choose(device)
            self._checked_at_log_in = self._transport.log_ins
        choice, presence = self._chosen.choice, self._chosen.presence
        readings = [(sensor, await self._values.read(sensor)) for sensor in choice.sensors]
        values = [(sensor, None if found is None else found.value) for sensor, found in readings]
        times = [found.answer for _, found in readings if found is not None]
        if not times:
            self.forget()
            raise BmcDataError(
                f"IPMI sensor {choice.sensors[0].name!r}: not present any more", reason="no_reading"
            )
        watts, why = presence.total(values)
        if watts is not None and watts < 0:
            watts, why = None, f"IPMI sensor {choice.sensors[0].name!r}: {watts:g} W is implausible"
        steps = [sensor.quantum for sensor in choice.sensors]
        return Power(
            watts=watts,
            source=self.name,
            sampled_at_ns=(times[0].sampled_at_ns + times[-1].sampled_at_ns) // 2,
            latency_s=sum(answer.latency_s for answer in times),
            why=why,
            side=choice.side,
            quantum_w=max((step for step in steps if step is not None), default=None),
            accuracy_pct=choice.sensors[0].factors.accuracy_pct,
        )

    def forget(self) -> None:
        """Look for the sensors again at the next read."""
        self._chosen = None
        self._values.forget()
        self._facts.pop("sdr", None)

    async def _choose(self, device: Device) -> _Chosen:
        key = f"{device.key()}|{await self._repository.stamp()}|{self._bridge or '00'}|{self._pattern or ''}"
        sensors = _remembered(self._facts.get("sdr"), key)
        if sensors is None:
            self._values.forget()
            records = await self._repository.watts_records()
            found = [(sensor, record) for record in records if (sensor := parsed(record)) is not None]
            choice = vendors.choose([sensor for sensor, _ in found], device.manufacturer, self._pattern)
            kept = [(sensor, record) for sensor, record in found if choice and sensor in choice.sensors]
            sensors = [sensor for sensor, _ in kept]
            records_hex = [record.hex() for _, record in kept]
            self._facts["sdr"] = {"key": key, "records": records_hex, "seen": []}
        choice = vendors.choose(sensors, device.manufacturer, self._pattern)
        if choice is None:
            raise BmcDataError(
                "IPMI sensor data repository: no sensor in watts with a known name", reason="unsupported"
            )
        return _Chosen(choice, Presence(self._facts["sdr"]["seen"]))


def _remembered(known: object, key: str) -> list[Sensor] | None:
    """Return the sensors that were chosen before; None if they are another BMC's or the memory is damaged."""
    match known:
        case {"key": str(kept), "records": list(records), "seen": list()} if kept == key:
            try:
                sensors = [sdr.parse(bytes.fromhex(record)) for record in records]
            except (BmcDataError, TypeError, ValueError):
                return None
            return [sensor for sensor in sensors if sensor is not None]
    return None
