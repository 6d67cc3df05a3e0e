"""Reads the original's database: samples hour by hour, and when which session began and ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from energyrecorder_annotator.influx.client import InfluxClient, Series
from energyrecorder_annotator.influx.influxql import identifier, in_span
from energyrecorder_annotator.original.bodies import POWER, WATTS, power_point
from energyrecorder_annotator.original.history.sessions import Moment
from energyrecorder_annotator.original.mirror import RUNNING_SCENARIOS, SENSOR_MEASUREMENT
from energyrecorder_annotator.samples.base import Place, Reading, SensorReading

POWER_MEASUREMENT = "PowerMeasurement"
"""What its collectors of before 2022 wrote."""
HOUR_NS = 3600 * 1_000_000_000
_PLACES = (("site", "dc"), ("room", "room"), ("row", "row"), ("rack", "rack"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the original: a reading of ours, and the session it was tagged with."""

    point: Reading | SensorReading
    scenario: str
    step: str


class OriginalDatabase:
    """The database (``NRG``) of an original recorder, whatever retention policies it has.

    Args:
        client: Connected to it.

    Raises:
        EnergyError: InfluxDB is away, refuses, or has no such database.
    """

    def __init__(self, client: InfluxClient) -> None:
        self._client = client
        asked = f"SHOW RETENTION POLICIES ON {identifier(client.settings.database)}"
        [found] = client.query(asked)
        self._policies = [row[one.columns.index("name")] for one in found for row in one.rows]

    def oldest_ns(self) -> int | None:
        """Return the time of the first point, ns since the Unix epoch; None when there is none."""
        sources = (
            (RUNNING_SCENARIOS, "started"),
            (SENSOR_MEASUREMENT, "value"),
            (POWER_MEASUREMENT, "power"),
        )
        asked = [f"SELECT first({identifier(field)}) FROM {self._source(name)}" for name, field in sources]
        times = (row[0] for found in self._client.query(*asked) for one in found for row in one.rows)
        return min(times, default=None)

    def moments(self, from_ns: int, to_ns: int) -> dict[str, list[Moment]]:
        """Return for each environment what it was told of sessions, in order of time."""
        asked = (
            f"SELECT {identifier('started')} FROM {self._source(RUNNING_SCENARIOS)} "
            f"WHERE {in_span(from_ns, to_ns)} GROUP BY *"
        )
        [found] = self._client.query(asked)
        moments: dict[str, list[Moment]] = {}
        for one in found:
            env = one.tags.get("environment", "")
            moments.setdefault(env, []).extend(
                Moment(t_ns, one.tags.get("scenario", ""), one.tags.get("step", ""), bool(started))
                for t_ns, started in one.rows
            )
        # Of two at one time the end comes first: what runs is what was told last.
        return {env: sorted(told, key=lambda one: (one.t_ns, one.started)) for env, told in moments.items()}

    def samples(self, from_ns: int, to_ns: int) -> Iterator[list[Sample]]:
        """Yield the samples of each hour that has any, those of an hour in order of time."""
        totals = self._totals()
        for start_ns in range(from_ns, to_ns, HOUR_NS):
            span = in_span(start_ns, min(to_ns, start_ns + HOUR_NS))
            new, old = self._client.query(
                f"SELECT value FROM {self._source(SENSOR_MEASUREMENT)} WHERE {span} GROUP BY *",
                f"SELECT power FROM {self._source(POWER_MEASUREMENT)} WHERE {span} GROUP BY *",
            )
            found = [sample for one in new for sample in _of_sensor(one, totals)]
            found += [sample for one in old for sample in _of_power(one)]
            if found:
                yield sorted(found, key=lambda sample: sample.point.t_ns)

    def _source(self, measurement: str) -> str:
        return ", ".join(f"{identifier(policy)}.{identifier(measurement)}" for policy in self._policies)

    def _totals(self) -> dict[str, set[str]]:
        """Return by equipment which of its sensors is the server's power.

        As for posted samples: ``power``, or the only one in a unit of power, whatever its name.
        """
        [found] = self._client.query(f"SELECT last(value) FROM {self._source(SENSOR_MEASUREMENT)} GROUP BY *")
        sensors: dict[str, set[str]] = {}
        for one in found:
            if one.tags.get("unit", "").strip() in WATTS:
                sensors.setdefault(one.tags.get("equipement", ""), set()).add(one.tags.get("sensor", ""))
        return {server: _total_of(names) for server, names in sensors.items()}


def _total_of(sensors: set[str]) -> set[str]:
    named = {sensor for sensor in sensors if sensor.lower() == POWER}
    return named or (sensors if len(sensors) == 1 else set())


def _of_sensor(one: Series, totals: dict[str, set[str]]) -> Iterator[Sample]:
    tags = one.tags
    env, server = tags.get("environment", ""), tags.get("equipement", "")
    sensor, unit = tags.get("sensor", ""), tags.get("unit", "")
    place: Place = tuple((ours, tags[theirs]) for ours, theirs in _PLACES if tags.get(theirs))
    factor = WATTS.get(unit.strip())
    for t_ns, value in _usable(one.rows, env, server):
        point: Reading | SensorReading
        if factor is None:
            point = SensorReading(env, server, sensor, unit, t_ns, value, place)
        else:
            part = None if sensor in totals.get(server, ()) else sensor
            point = power_point(env, server, value * factor, t_ns, part=part, place=place)
        yield Sample(point, tags.get("scenario", ""), tags.get("step", ""))


def _of_power(one: Series) -> Iterator[Sample]:
    tags = one.tags
    env, server = tags.get("environment", ""), tags.get("hardware", "")
    for t_ns, watts in _usable(one.rows, env, server):
        yield Sample(power_point(env, server, watts, t_ns), tags.get("scenario", ""), tags.get("step", ""))


def _usable(rows: Sequence[Sequence[float | None]], env: str, server: str) -> Iterator[tuple[int, float]]:
    """Yield times and values of a series that says where it belongs."""
    if env and server:
        for t_ns, value in rows:
            if t_ns is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
                yield int(t_ns), float(value)
