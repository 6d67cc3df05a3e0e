"""Points of samples as line protocol."""

from __future__ import annotations

from collections.abc import Iterator

from energyrecorder.line_protocol import FieldValue
from energyrecorder.schema import SERVER_BMC, SERVER_POWER, SERVER_SENSOR, measurement
from energyrecorder_annotator.samples.base import Batch, BmcPoll, Reading, SensorReading

_READING_FIELDS = (
    "watts",
    "avg_w",
    "min_w",
    "max_w",
    "window_s",
    "refresh_s",
    "quantum_w",
    "accuracy_pct",
    "clock",
    "energy_counter_j",
    "energy_wrap_j",
    "protocol",
    "source",
    "side",
)


def batch_lines(batch: Batch) -> Iterator[str]:
    """Yield the lines of a batch; a point without any field has none."""
    yield from filter(None, (one.text or _reading_line(one) for one in batch.readings))
    yield from filter(None, (one.text or _poll_line(one) for one in batch.polls))
    yield from filter(None, (one.text or _sensor_line(one) for one in batch.sensors))
    yield from (one.text for one in batch.others)


def _sensor_line(one: SensorReading) -> str | None:
    tags = {"env": one.env, "server": one.server, "sensor": one.sensor, "unit": one.unit, **dict(one.place)}
    return measurement(SERVER_SENSOR).line(tags, {"value": one.value}, one.t_ns)


def _reading_line(reading: Reading) -> str | None:
    tags: dict[str, str | None] = {"env": reading.env, "server": reading.server, **dict(reading.place)}
    tags.update(scope=reading.scope, part=reading.part)
    fields: dict[str, FieldValue | None] = {name: getattr(reading, name) for name in _READING_FIELDS}
    fields["backfill"] = int(reading.backfill)
    return measurement(SERVER_POWER).line(tags, fields, reading.t_ns)


def _poll_line(poll: BmcPoll) -> str | None:
    fields: dict[str, FieldValue | None] = {"up": int(poll.up), "host": poll.host, "error": poll.error}
    tags = {"env": poll.env, "server": poll.server, **dict(poll.place)}
    return measurement(SERVER_BMC).line(tags, fields, poll.t_ns)
