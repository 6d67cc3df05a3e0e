"""Asks for the value of one sensor: the way to its owner, its raw reading, and the factors if they vary."""

from __future__ import annotations

from dataclasses import dataclass

from energyrecorder.clock import Clock
from energyrecorder_execd.readers.ipmi import sdr
from energyrecorder_execd.readers.ipmi.sdr import Factors, Sensor
from energyrecorder_execd.readers.ipmi.transport import (
    NETFN_SENSOR,
    SENSOR_NOT_PRESENT,
    Answer,
    Bridge,
    CompletionCodeError,
    Transport,
    ask,
)

_BMC_ADDRESS = 0x20


@dataclass(frozen=True, slots=True)
class Found:
    """What a sensor says.

    Args:
        value: In its unit; None where it has no valid reading now.
        answer: The answer to Get Sensor Reading.
    """

    value: float | None
    answer: Answer


class SensorValues:
    """The sensors of one BMC.

    Args:
        transport: The way to the BMC.
        bridge: The satellite controller to ask; None asks the owner that the sensor's record names.
        clock: Wall clock.
    """

    def __init__(self, transport: Transport, bridge: Bridge | None, clock: Clock) -> None:
        self._transport = transport
        self._bridge = bridge
        self._clock = clock
        self._factors: dict[tuple[int, ...], Factors] = {}

    async def read(self, sensor: Sensor) -> Found | None:
        """Return what the sensor says; None if it is not there.

        Raises:
            CompletionCodeError: The BMC refuses for another reason.
            BmcDataError: The answer is too short.
            BmcError: It does not answer.
        """
        try:
            answer = await self._ask(sensor, sdr.GET_SENSOR_READING, bytes((sensor.number,)))
        except CompletionCodeError as error:
            if error.code != SENSOR_NOT_PRESENT:
                raise
            return None
        raw = sdr.reading(answer.data)
        if raw is None:
            return Found(None, answer)
        factors = await self._factors_of(sensor, raw) if sensor.non_linear else None
        return Found(sensor.convert(raw, factors), answer)

    def forget(self) -> None:
        """Ask anew for the factors of non-linear sensors: the BMC may be another one."""
        self._factors.clear()

    async def _factors_of(self, sensor: Sensor, raw: int) -> Factors:
        """Return the factors of one reading (IPMI 2.0 §35.5); they stay, so they are asked for once."""
        key = (sensor.owner, sensor.channel, sensor.lun, sensor.number, raw)
        if key not in self._factors:
            command = sdr.GET_SENSOR_READING_FACTORS
            answer = await self._ask(sensor, command, bytes((sensor.number, raw)))
            self._factors[key] = sdr.reading_factors(answer.data)
        return self._factors[key]

    async def _ask(self, sensor: Sensor, command: int, data: bytes) -> Answer:
        return await ask(
            self._transport,
            NETFN_SENSOR,
            command,
            data,
            lun=sensor.lun,
            bridge=self._bridge_to(sensor),
            clock=self._clock,
        )

    def _bridge_to(self, sensor: Sensor) -> Bridge | None:
        if self._bridge is not None or sensor.owner == _BMC_ADDRESS:
            return self._bridge
        return Bridge(address=sensor.owner, channel=sensor.channel)
