"""Line protocol in, readings and polls out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from line_protocol_parser import LineFormatError, parse_line

from energyrecorder.line_protocol import FieldValue
from energyrecorder.schema import (
    HOST_STATES,
    SERVER_BMC,
    SERVER_INFO,
    SERVER_POWER,
    SERVER_SENSOR,
    STATIC_TAGS,
    measurement,
)
from energyrecorder_annotator.samples.base import (
    BmcPoll,
    OtherPoint,
    Place,
    Point,
    Reading,
    SensorReading,
)

MAX_TIME_NS = 2**63 - 1
_KEPT = frozenset({SERVER_POWER, SERVER_BMC, SERVER_SENSOR})
_KEPT_AS_LINES = _KEPT | {SERVER_INFO}
_STATIC = frozenset(STATIC_TAGS)


class BadLineError(ValueError):
    """A line that is not a point; the message is one line, foreign text quoted."""


def parse_point(line: str, received_ns: int, *, keep_lines: bool = False) -> Point | None:
    """Return what a line holds; None for a comment or a measurement we do not keep.

    Args:
        line: One line of line protocol, without its newline.
        received_ns: Stands in for a time that is not given, ns since the Unix epoch.
        keep_lines: Whether the point is to carry its ``text``: what the schema knows of the line.

    Raises:
        BadLineError: The line is not line protocol, or lacks what identifies a point.
    """
    try:
        point = parse_line(line)
    except (LineFormatError, ValueError, OverflowError, UnicodeError) as error:
        raise BadLineError(f"not line protocol ({error}): {_shown(line)}") from None
    if point is None or point["measurement"] not in (_KEPT_AS_LINES if keep_lines else _KEPT):
        return None
    tags, fields = point["tags"], point["fields"]
    time_ns = received_ns if point["time"] is None else point["time"]
    if not tags.get("env") or not tags.get("server") or not 0 <= time_ns <= MAX_TIME_NS:
        raise BadLineError(f"without env, server or a time since 1970: {_shown(line)}")
    place = (
        () if _STATIC.isdisjoint(tags) else tuple((name, tags[name]) for name in STATIC_TAGS if name in tags)
    )
    text = _text_of(point["measurement"], tags, fields, time_ns) if keep_lines else None
    if point["measurement"] == SERVER_BMC:
        return _poll(tags, fields, time_ns, place, text)
    if point["measurement"] == SERVER_SENSOR:
        return _sensor(tags, fields, time_ns, place, text)
    if point["measurement"] == SERVER_INFO:
        return None if text is None else OtherPoint(tags["env"], tags["server"], time_ns, text)
    if not tags.get("scope"):
        raise BadLineError(f"server_power without scope: {_shown(line)}")
    return _reading(tags, fields, time_ns, place, text)


def _text_of(name: str, tags: Mapping[str, str], fields: Mapping[str, Any], time_ns: int) -> str | None:
    """Return the line anew, without tags and fields that are not the schema's: they would grow series."""
    known = measurement(name)
    own = {key: value for key, value in tags.items() if key in known.tags or key in _STATIC}
    kept: dict[str, FieldValue | None] = {}
    for field in known.fields:
        value = fields.get(field.name)
        if field.kind == "str":
            kept[field.name] = value if isinstance(value, str) else None
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            kept[field.name] = int(value) if field.kind == "int" else float(value)
    return known.line(own, kept, time_ns)


def _reading(
    tags: Mapping[str, str], fields: Mapping[str, Any], time_ns: int, place: Place, text: str | None
) -> Reading:
    return Reading(
        env=tags["env"],
        server=tags["server"],
        scope=tags["scope"],
        part=tags.get("part") or None,
        t_ns=time_ns,
        watts=_number(fields, "watts"),
        window_s=_number(fields, "window_s"),
        refresh_s=_number(fields, "refresh_s"),
        quantum_w=_number(fields, "quantum_w"),
        accuracy_pct=_number(fields, "accuracy_pct"),
        clock=_text(fields, "clock"),
        protocol=_text(fields, "protocol"),
        source=_text(fields, "source"),
        side=_text(fields, "side"),
        avg_w=_number(fields, "avg_w"),
        min_w=_number(fields, "min_w"),
        max_w=_number(fields, "max_w"),
        energy_counter_j=_number(fields, "energy_counter_j"),
        energy_wrap_j=_number(fields, "energy_wrap_j"),
        backfill=bool(_number(fields, "backfill")),
        place=place,
        text=text,
    )


def _poll(
    tags: Mapping[str, str], fields: Mapping[str, Any], time_ns: int, place: Place, text: str | None
) -> BmcPoll:
    host = _text(fields, "host")
    return BmcPoll(
        env=tags["env"],
        server=tags["server"],
        t_ns=time_ns,
        up=bool(_number(fields, "up")),
        host=host if host in HOST_STATES else "unknown",
        error=_text(fields, "error") or "",
        place=place,
        text=text,
    )


def _sensor(
    tags: Mapping[str, str], fields: Mapping[str, Any], time_ns: int, place: Place, text: str | None
) -> SensorReading | None:
    value = _number(fields, "value")
    if value is None:
        return None
    return SensorReading(
        env=tags["env"],
        server=tags["server"],
        sensor=tags.get("sensor", ""),
        unit=tags.get("unit", ""),
        t_ns=time_ns,
        value=value,
        place=place,
        text=text,
    )


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _shown(line: str) -> str:
    return repr(line[:200])
