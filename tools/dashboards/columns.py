"""Columns of tables and lines of curves: names, units, colours and links of the fields of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards import Json

STATE_COLOURS = {
    "passed": "green",
    "failed": "red",
    "running": "yellow",
    "aborted": "orange",
    "lost": "#808080",
}
QUALITY_COLOURS = {"resolved": "green", "coarse": "yellow", "unresolvable": "#808080", "pending": "blue"}
SIDE_COLOURS = {"ac": "green", "dc": "blue", "mixed": "orange", "unknown": "#808080"}
W, WH, KWH, KJ, GRAMS = (f"suffix:{unit}" for unit in ("W", "Wh", "kWh", "kJ", "g"))
"""Units of columns and axes along which one compares: Grafana's own would show 950 Wh above 1.2 kWh."""
AS_WRITTEN = "%"
"""A lone per cent sign at the end of an address: Grafana decodes addresses before it follows them, which would cut
names with ``&`` or ``#``, but leaves as it is what cannot be decoded (read in @grafana/data 13.2)."""
NO_THRESHOLD = {"mode": "absolute", "steps": [{"color": "transparent", "value": None}]}


def colours(values: Mapping[str, str]) -> list[Json]:
    """Return value mappings that colour texts."""
    options = {
        text: {"color": colour, "index": index, "text": text}
        for index, (text, colour) in enumerate(values.items())
    }
    return [{"type": "value", "options": options}]


def by_name(name: str, **properties: Any) -> Json:
    """Return an override of one field; ``__`` in a property's name stands for a dot."""
    return _override("byName", name, properties)


def energy_column(name: str, shown: str, **properties: Any) -> Json:
    """Return an override of a column in Wh."""
    return by_name(name, unit=WH, displayName=shown, decimals=2, **properties)


def power_column(name: str, shown: str, *, decimals: int = 1, **properties: Any) -> Json:
    """Return an override of a column in W."""
    return by_name(name, unit=W, displayName=shown, decimals=decimals, **properties)


def texts(**properties: Any) -> Json:
    """Return an override of all columns of texts, which want the unit ``string``: else a step 007 would be shown as 7."""
    return _override("byType", "string", properties)


def by_pattern(pattern: str, **properties: Any) -> Json:
    """Return an override of all fields whose names match ``/pattern/``."""
    return _override("byRegexp", pattern, properties)


def _override(matcher: str, options: str, properties: Mapping[str, Any]) -> Json:
    written = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": matcher, "options": options}, "properties": written}


def line_only(**properties: Any) -> Json:
    """Return the properties of a thin line without points or filling, such as one to compare with."""
    return {
        "custom__drawStyle": "line",
        "custom__lineWidth": 1,
        "custom__fillOpacity": 0,
        "custom__showPoints": "never",
        **properties,
    }


def painted(thresholds: Json) -> Json:
    """Return the properties of a column whose cells are painted; old and new names of the cell type."""
    return {
        "thresholds": thresholds,
        "custom__displayMode": "color-background-solid",
        "custom__cellOptions": {"type": "color-background", "mode": "basic"},
    }


def bar_cell() -> Json:
    """Return the properties of a column of bars from 0 on; old and new names of the cell type."""
    return {
        "min": 0,
        "color": {"mode": "continuous-GrYlRd"},
        "custom__displayMode": "basic",
        "custom__cellOptions": {"type": "gauge", "mode": "basic"},
    }


def coloured(name: str, values: Mapping[str, str], width: int = 100) -> Json:
    """Return an override that paints the cells of a text column."""
    return by_name(name, mappings=colours(values), custom__width=width, **painted(NO_THRESHOLD))


def link(name: str, title: str, url: str, **properties: Any) -> Json:
    """Return an override that makes a column a link."""
    return by_name(name, links=[{"title": title, "url": url}], **properties)


def ci_link() -> Json:
    """Return the override of the column that leads to the CI job."""
    return link("ci_url", "CI job", f"${{__value.raw:raw}}#{AS_WRITTEN}", displayName="CI")
