"""Reads every source of power of one BMC side by side, for ``probe`` and ``record``; a poll asks one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.ipmi.device import Device
from energyrecorder_execd.readers.ipmi.inventory import read_names
from energyrecorder_execd.readers.ipmi.repository import Repository, parsed
from energyrecorder_execd.readers.ipmi.sdr import Sensor
from energyrecorder_execd.readers.ipmi.sensor_values import SensorValues
from energyrecorder_execd.readers.ipmi.sources import Source
from energyrecorder_execd.readers.ipmi.transport import Bridge, Transport

_NAMES = {"dcmi": "DCMI", "oem": "Intel Node Manager"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one source of power showed once.

    Args:
        name: What it is, for people.
        watts: Power; None if it has no valid value now.
        sampled_at_ns: Middle of the request, nanoseconds since the Unix epoch, UTC; 0 without an answer.
        latency_s: From request to answer, seconds; 0 without an answer.
        statistics_s: Period of the BMC's own average, least and greatest value; None unknown.
        quantum_w: Step of the values; None unknown.
        reason: Empty if there are watts, else one of `energyrecorder.schema.ERRORS`.
        why: Likewise, for people.
    """

    name: str
    watts: float | None
    sampled_at_ns: int = 0
    latency_s: float = 0.0
    statistics_s: float | None = None
    quantum_w: float | None = None
    reason: str = ""
    why: str = ""


class Survey:
    """All sources of one BMC; its sensor records are read at the first look, and again after a failure.

    Args:
        transport: The way to the BMC.
        sources: Where a poll looks; of sensors, the survey reads all by itself.
        bridge: The satellite controller whose sensors to read; None reads the BMC's.
        clock: Wall clock.
    """

    def __init__(
        self, transport: Transport, sources: Sequence[Source], bridge: Bridge | None, clock: Clock
    ) -> None:
        self._transport = transport
        self._sources = [source for source in sources if source.name != "sdr"]
        self._repository = Repository(transport, bridge)
        self._values = SensorValues(transport, bridge, clock)
        self._sensors: list[Sensor] | None = None
        self._names_read = False

    async def look(self, device: Device) -> list[Sighting]:
        """Return what each source shows now.

        Raises:
            BmcError: The BMC does not answer at all.
        """
        found = []
        for source in self._sources:
            name = _NAMES.get(source.name, source.name)
            try:
                power = await source.read(device)
            except BmcError as error:
                found.append(Sighting(name, None, reason=error.reason, why=str(error)))
                continue
            found.append(
                Sighting(
                    name,
                    power.watts,
                    power.sampled_at_ns,
                    power.latency_s,
                    power.statistics_s,
                    power.quantum_w,
                    reason="no_reading" if power.why else "",
                    why=power.why,
                )
            )
        return found + await self._look_at_sensors()

    async def read_names(self) -> None:
        """Read the names in the FRU inventory once, so that they are heard; a BMC without them is fine.

        Raises:
            BmcError: The BMC does not answer.
        """
        if not self._names_read:
            self._names_read = True
            await read_names(self._transport)

    async def _look_at_sensors(self) -> list[Sighting]:
        try:
            if self._sensors is None:
                await self._repository.stamp()
                records = await self._repository.watts_records()
                sensors = [sensor for record in records if (sensor := parsed(record)) is not None]
                self._sensors = [sensor for sensor in sensors if sensor.in_watts]
        except BmcError as error:
            return [Sighting("sensor data records", None, reason=error.reason, why=str(error))]
        if not self._sensors:
            why = "IPMI sensor data repository: no sensor in watts"
            return [Sighting("sensor data records", None, reason="unsupported", why=why)]
        return [await self._sight(sensor) for sensor in self._sensors]

    async def _sight(self, sensor: Sensor) -> Sighting:
        name = f"sensor {sensor.name!r} ({sensor.number:02X}h)"
        try:
            found = await self._values.read(sensor)
        except BmcError as error:
            return Sighting(name, None, reason=error.reason, why=str(error))
        if found is None or found.value is None:
            why = "not present" if found is None else "unavailable, or scanning is off"
            return Sighting(name, None, reason="no_reading", why=f"IPMI {name}: {why}")
        answer = found.answer
        return Sighting(name, found.value, answer.sampled_at_ns, answer.latency_s, quantum_w=sensor.quantum)
