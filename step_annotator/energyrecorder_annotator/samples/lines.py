"""Points of samples as line protocol."""

from __future__ import annotations

from collections.abc import Iterator

from energyrecorder.line_protocol import FieldValue
from energyrecorder.schema import SERVER_BMC, SERVER_POWER, SERVER_SENSOR, measurement
from energyrecorder_annotator.samples.base import Batch, BmcPoll, Reading

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
    yield from filter(None, map(_reading_line, batch.readings))
    yield from filter(None, map(_poll_line, batch.polls))
    for one in batch.sensors:
        tags = {"env": one.env, "server": one.server, "sensor": one.sensor, "unit": one.unit}
        line = measurement(SERVER_SENSOR).line(tags, {"value": one.value}, one.t_ns)
        if line is not None:
            yield line


def _reading_line(reading: Reading) -> str | None:
    tags = {"env": reading.env, "server": reading.server, "scope": reading.scope, "part": reading.part}
    fields: dict[str, FieldValue | None] = {name: getattr(reading, name) for name in _READING_FIELDS}
    fields["backfill"] = int(reading.backfill)
    return measurement(SERVER_POWER).line(tags, fields, reading.t_ns)


def _poll_line(poll: BmcPoll) -> str | None:
    fields: dict[str, FieldValue | None] = {"up": int(poll.up), "host": poll.host, "error": poll.error}
    return measurement(SERVER_BMC).line({"env": poll.env, "server": poll.server}, fields, poll.t_ns)
