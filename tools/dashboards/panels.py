"""Panels of Grafana's core alone, each with a unit and a description that holds its formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DATASOURCE = {"type": "influxdb", "uid": "${datasource}"}
Json = dict[str, Any]

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
FEW_POINTS = 100
"""Intervals where a finer grid shows nothing more: one figure, a cell of a heat map, a sum over a large fleet."""
COARSE_POINTS = 40
"""For sums over servers by a tag, which cost InfluxDB 1.x several times what sums over all do: 10 min at 6 h."""

AS_WRITTEN = "%"
"""A lone per cent sign at the end of an address: Grafana decodes addresses before it follows them, which would cut
names with ``&`` or ``#``, but leaves as it is what cannot be decoded (read in @grafana/data 13.2)."""

NO_THRESHOLD = {"mode": "absolute", "steps": [{"color": "transparent", "value": None}]}


def target(query: str, *, table: bool = False, alias: str = "", ref: str = "A") -> Json:
    """Return one query of a panel."""
    found: Json = {
        "refId": ref,
        "datasource": DATASOURCE,
        "rawQuery": True,
        "resultFormat": "table" if table else "time_series",
        "query": query,
    }
    return {**found, "alias": alias} if alias else found


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


def calculated(name: str, left: str, operator: str, right: str) -> Json:
    """Return the transformation that adds a column made of two; neither may miss a value."""
    halves = {"left": left, "operator": operator, "right": right}
    options = {"mode": "binary", "binary": halves, "alias": name, "replaceFields": False}
    return {"id": "calculateField", "options": options}


def sorted_by(field: str, *, descending: bool) -> Json:
    """Return the transformation that sorts the rows of a table by a column."""
    return {"id": "sortBy", "options": {"sort": [{"field": field, "desc": descending}]}}


def link(name: str, title: str, url: str, **properties: Any) -> Json:
    """Return an override that makes a column a link."""
    return by_name(name, links=[{"title": title, "url": url}], **properties)


def ci_link() -> Json:
    """Return the override of the column that leads to the CI job."""
    return link("ci_url", "CI job", f"${{__value.raw:raw}}#{AS_WRITTEN}", displayName="CI")


WITHOUT_TIME = {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time"]}}}


def joined(by: str, mode: str) -> list[Json]:
    """Return the transformations that make one table of several, without their times.

    Args:
        by: The column whose values belong together.
        mode: ``outer`` for a row per value, ``inner`` for values alone that are in all of them, ``outerTabular`` for a
            row per pair of rows.
    """
    return [WITHOUT_TIME, {"id": "joinByField", "options": {"byField": by, "mode": mode}}]


def core_panel(
    kind: str,
    title: str,
    description: str,
    targets: Sequence[Json],
    *,
    defaults: Json,
    options: Json,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
) -> Json:
    """Return a panel of this kind; its targets get the letters that Grafana gives."""
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": [{**found, "refId": chr(ord("A") + index)} for index, found in enumerate(targets)],
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
        **({"transformations": list(transformations)} if transformations else {}),
    }


def timeseries(
    title: str,
    description: str,
    targets: Sequence[Json],
    *,
    unit: str,
    points: bool = False,
    most_points: int | None = None,
    overrides: Sequence[Json] = (),
) -> Json:
    """Return curves over time; a gap of more than a minute stays a gap; ``most_points`` asks for a coarser grid."""
    custom: Json = {
        "drawStyle": "points" if points else "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
    }
    custom |= {"fillOpacity": 8, "showPoints": "always" if points else "never", "spanNulls": 60000}
    custom |= {"pointSize": 7} if points else {}
    defaults: Json = {"unit": unit, "min": 0, "custom": custom}
    legend = {
        "displayMode": "table",
        "placement": "right",
        "showLegend": True,
        "calcs": ["mean", "max", "lastNotNull"],
    }
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    styled = [by_name("total", custom__lineWidth=3, custom__fillOpacity=0), *overrides]
    panel = core_panel(
        "timeseries", title, description, targets, defaults=defaults, options=options, overrides=styled
    )
    return panel if most_points is None else {**panel, "maxDataPoints": most_points}


def table(
    title: str,
    description: str,
    targets: Sequence[Json],
    *,
    unit: str = "string",
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
    total_of: Sequence[str] = (),
) -> Json:
    """Return a table; a missing value is a dash, never green and never 0.

    Its unit is that of columns without one of their own.
    """
    custom = {"align": "auto", "displayMode": "auto", "cellOptions": {"type": "auto"}, "filterable": True}
    defaults = {"unit": unit, "noValue": "–", "thresholds": NO_THRESHOLD, "custom": custom}
    footer = {"show": bool(total_of), "reducer": ["sum"], "fields": list(total_of), "countRows": False}
    options = {"showHeader": True, "cellHeight": "sm", "footer": footer}
    return core_panel(
        "table",
        title,
        description,
        targets,
        defaults=defaults,
        options=options,
        overrides=overrides,
        transformations=transformations,
    )


def bars(
    title: str, description: str, targets: Sequence[Json], *, unit: str, x: str, colour_by: str = ""
) -> Json:
    """Return a bar per row of a table; ``colour_by`` names the column whose mapped colour paints it."""
    defaults = {"unit": unit, "min": 0, "custom": {"fillOpacity": 80, "lineWidth": 1}}
    options: Json = {
        "xField": x,
        "orientation": "horizontal",
        "showValue": "auto",
        "stacking": "none",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single"},
        "text": {"valueSize": 12},
    }
    hidden = {"viz": True, "legend": True, "tooltip": True}
    overrides = [by_name("Time", custom__hideFrom=hidden), texts(unit="string")]
    if colour_by:
        options["colorByField"] = colour_by
        overrides.append(by_name(colour_by, mappings=colours(STATE_COLOURS)))
    return core_panel(
        "barchart", title, description, targets, defaults=defaults, options=options, overrides=overrides
    )


def gantt(title: str, description: str, query: str) -> Json:
    """Return one row per step; without the partition parallel steps would corrupt a row."""
    defaults = {
        "unit": "string",
        "mappings": colours(STATE_COLOURS),
        "color": {"mode": "fixed", "fixedColor": "text"},
        "custom": {"fillOpacity": 80, "lineWidth": 0},
    }
    options = {
        "mergeValues": False,
        "showValue": "auto",
        "rowHeight": 0.85,
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single"},
    }
    # A default displayName is ignored on partitioned frames; an override by type is not.
    name = texts(displayName="${__field.labels.step}")
    conversion = {"targetField": "time_end", "destinationType": "time"}
    return core_panel(
        "state-timeline",
        title,
        description,
        [target(query, table=True)],
        defaults=defaults,
        options=options,
        overrides=[name],
        transformations=[
            {"id": "convertFieldType", "options": {"conversions": [conversion], "fields": {}}},
            {
                "id": "partitionByValues",
                "options": {"fields": ["step"], "keepFields": False, "naming": {"asLabels": True}},
            },
        ],
    )


def status_history(title: str, description: str, targets: Sequence[Json], *, unit: str) -> Json:
    """Return a heat map: a row per server, colour = value."""
    defaults = {
        "unit": unit,
        "color": {"mode": "continuous-GrYlRd"},
        "custom": {"fillOpacity": 90, "lineWidth": 0},
    }
    options = {
        "rowHeight": 0.9,
        "showValue": "never",
        "colWidth": 1,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single"},
    }
    panel = core_panel("status-history", title, description, targets, defaults=defaults, options=options)
    return {**panel, "maxDataPoints": FEW_POINTS}


def scatter(title: str, description: str, query: str, *, x: str, y: str, unit: str) -> Json:
    """Return a point per row: one column against another."""
    defaults = {"unit": unit, "custom": {"show": "points", "pointSize": {"fixed": 6}}}
    options = {
        "seriesMapping": "manual",
        "mapping": "manual",
        "dims": {"x": x, "frame": 0},
        "series": [
            {
                "x": {"matcher": {"id": "byName", "options": x}},
                "y": {"matcher": {"id": "byName", "options": y}},
            }
        ],
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single"},
    }
    found = [target(query, table=True)]
    return core_panel(
        "xychart",
        title,
        description,
        found,
        defaults=defaults,
        options=options,
        overrides=[by_name(x, unit="dthms")],
    )


def histogram(title: str, description: str, query: str, *, unit: str) -> Json:
    """Return how often a value occurs."""
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": False}, "combine": True}
    return core_panel(
        "histogram",
        title,
        description,
        [target(query)],
        defaults={"unit": unit, "custom": {"fillOpacity": 80, "lineWidth": 1}},
        options=options,
    )


def laid_out(rows: Sequence[tuple[int, Sequence[tuple[int, Json]]]]) -> list[Json]:
    """Return the panels with ids and places; a row is (height, [(width, panel), …]) with 24 columns.

    Raises:
        ValueError: A row is wider than the page.
    """
    placed: list[Json] = []
    y = 0
    for height, row in rows:
        if sum(width for width, _ in row) > 24:  # noqa: PLR2004  # columns of Grafana's page
            raise ValueError(f"row at {y} is wider than 24")
        x = 0
        for width, panel in row:
            position = {"h": height, "w": width, "x": x, "y": y}
            placed.append({"id": len(placed) + 1, **panel, "gridPos": position})
            x += width
        y += height
    return placed
