"""Panels of Grafana's core alone, each with a unit and a description that holds its formula."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from dashboards import Json
from dashboards.columns import NO_THRESHOLD, STATE_COLOURS, by_name, colours, texts

DATASOURCE = {"type": "influxdb", "uid": "${datasource}"}
FEW_POINTS = 100
"""Intervals where a finer grid shows nothing more: one figure, a cell of a heat map, a sum over a large fleet."""
COARSE_POINTS = 40
"""For sums over servers by a tag, which cost InfluxDB 1.x several times what sums over all do: 10 min at 6 h."""

MANY_POINTS = 500
"""Intervals of a curve over the whole page."""
LONGEST_POLL = "1m"
"""An interval over which servers are summed up is at least as long: a server without a reading in it adds nothing. BMCs
that know no sessions are polled once a minute, the others more often."""


def target(query: str, *, table: bool = False, alias: str = "") -> Json:
    """Return one query of a panel."""
    found: Json = {
        "datasource": DATASOURCE,
        "rawQuery": True,
        "resultFormat": "table" if table else "time_series",
        "query": query,
    }
    return {**found, "alias": alias} if alias else found


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
        "targets": [
            {"refId": letter, **found} for letter, found in zip(ascii_uppercase, targets, strict=False)
        ],
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
    drawn = {"drawStyle": "points" if points else "line", "lineInterpolation": "linear", "lineWidth": 1}
    shown = {"fillOpacity": 8, "showPoints": "always" if points else "never", "spanNulls": 60000}
    sized = {"pointSize": 7} if points else {}
    defaults: Json = {"unit": unit, "min": 0, "custom": {**drawn, **shown, **sized}}
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
    title: str,
    description: str,
    query: str,
    *,
    unit: str,
    x: str,
    colour_by: str = "",
    transformations: Sequence[Json] = (),
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
        "barchart",
        title,
        description,
        [target(query, table=True)],
        defaults=defaults,
        options=options,
        overrides=overrides,
        transformations=transformations,
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
