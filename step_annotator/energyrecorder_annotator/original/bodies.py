"""Bodies of the original API, and the points that posted measurements stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StrictFloat, StrictInt, StrictStr

from energyrecorder_annotator.api.bodies import encodable
from energyrecorder_annotator.samples.base import Place, Point, Reading, SensorReading

WATTS = {
    **dict.fromkeys(("W", "w", "Watt", "watt", "Watts", "watts"), 1.0),
    **dict.fromkeys(("kW", "KW", "kw"), 1000.0),
    **dict.fromkeys(("mW", "mw"), 0.001),
}
"""Units of power and their watts."""
LEAST_TIME = 10_000_000_000
"""A time not above this is no nanoseconds: the original then took its own clock."""
POWER = "power"
_MAX_NS = 2**63 - 1

Text = Annotated[StrictStr, AfterValidator(encodable)]
Number = Annotated[StrictInt | StrictFloat, Field(ge=-1e300, le=1e300)]
Time = Annotated[StrictInt, Field(ge=0, le=_MAX_NS)]


class ScenarioBody(BaseModel):
    """What begins a session."""

    scenario: Text
    step: Text


class StepBody(BaseModel):
    """The next step of a session."""

    step: Text


class Topology(BaseModel):
    """Where an equipment stands; ``dc`` is the site."""

    dc: Text | None = None
    room: Text | None = None
    row: Text | None = None
    rack: Text | None = None

    @property
    def place(self) -> Place:
        """The same as static tags."""
        told = (("site", self.dc), ("room", self.room), ("row", self.row), ("rack", self.rack))
        return tuple((name, value) for name, value in told if value)


class MeasurementBody(BaseModel):
    """One value of one sensor."""

    sensor: Text
    unit: Text
    value: Annotated[Number, Field(allow_inf_nan=False)]
    time: Time | None = None


class MeasurementsBody(BaseModel):
    """Values of one equipment."""

    environment: Annotated[Text, Field(min_length=1)]
    time: Time | None = None
    topology: Topology | None = None
    measurements: Annotated[list[MeasurementBody], Field(max_length=10_000)]


class ConsumptionBody(BaseModel):
    """Power of one server."""

    power: Annotated[Number, Field(allow_inf_nan=False)]
    environment: Annotated[Text, Field(min_length=1)]
    time: Time | None = None


def points(body: MeasurementsBody, env: str, server: str, received_ns: int) -> list[Point]:
    """Return the points that ``body`` stands for, each with its own time.

    ``power`` in watts is the server's; so is the only sensor of the request that measures power, whatever its
    name. Several of them are parts, which must not overwrite one another.

    Args:
        body: As posted.
        env: Environment it belongs to.
        server: Id of the equipment.
        received_ns: Our wall clock, for values without a time.
    """
    totals = _totals(body.measurements)
    place: Place = () if body.topology is None else body.topology.place
    found: list[Point] = []
    for one in body.measurements:
        t_ns = _time_ns(one.time, body.time, received_ns)
        factor = WATTS.get(one.unit.strip())
        if factor is None:
            found.append(SensorReading(env, server, one.sensor, one.unit, t_ns, float(one.value), place))
        else:
            part = None if one.sensor in totals else one.sensor
            found.append(power_point(env, server, float(one.value) * factor, t_ns, part=part, place=place))
    return found


def power_point(
    env: str, server: str, watts: float, t_ns: int, *, part: str | None = None, place: Place = ()
) -> Reading:
    """Return a reading of power as the original API knows it: nothing is known of its window.

    Args:
        env: Environment.
        server: Id of the equipment.
        watts: Its power, or that of a part.
        t_ns: When, ns since the Unix epoch.
        part: Sensor of a part; None means the server as a whole.
        place: Where it stands.
    """
    return Reading(
        env=env,
        server=server,
        scope="server" if part is None else "component",
        part="legacy" if part is None else part,
        t_ns=t_ns,
        watts=watts,
        clock="poll",
        protocol="legacy",
        source="legacy",
        side="unknown",
        place=place,
    )


def consumption_point(body: ConsumptionBody, env: str, server: str, received_ns: int) -> Reading:
    """Return the point of a posted consumption."""
    return power_point(env, server, float(body.power), _time_ns(body.time, None, received_ns))


def _totals(measurements: Sequence[MeasurementBody]) -> set[str]:
    sensors = {one.sensor for one in measurements if one.unit.strip() in WATTS}
    named = {sensor for sensor in sensors if sensor.lower() == POWER}
    return named or (sensors if len(sensors) == 1 else set())


def _time_ns(own: int | None, common: int | None, received_ns: int) -> int:
    for time_ns in (own, common):
        if time_ns is not None and time_ns > LEAST_TIME:
            return time_ns
    return received_ns
