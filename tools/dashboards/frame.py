"""What all dashboards share: variables, layers of annotations, links, the frame itself."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import Json
from dashboards.influxql import (
    ENV,
    OVERLAPS,
    SCENARIO,
    SCENARIOS_ONLY,
    STEPS_ONLY,
    VISIBLE,
    newest,
    select,
    tag_values,
)
from dashboards.panels import DATASOURCE, LONGEST_POLL, MANY_POINTS
from energyrecorder import schema

TAG = "energy"
ANNOTATOR = "annotator"
SCHEMA_VERSION = 39


def datasource_variable() -> Json:
    """Return the variable that names the data source; ours comes first when it is provisioned."""
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "influxdb",
        "refresh": 1,
        "regex": "",
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "current": {"selected": False, "text": "energyrecorder", "value": "energy-influxdb"},
    }


def query_variable(
    name: str, label: str, query: str, *, include_all: bool = True, multi: bool = True
) -> Json:
    """Return a variable filled by a query.

    ``multi`` stays on even where one value is usual: Grafana 13 leaves a single value that starts with a digit
    unescaped otherwise.
    """
    found: Json = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "hide": 0,
        "includeAll": include_all,
        "multi": multi,
        "options": [],
        "current": {},
    }
    if include_all:
        found["allValue"] = ".*"
        found["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return found


def custom_variable(name: str, label: str, values: Sequence[tuple[str, str]]) -> Json:
    """Return a variable with fixed (text, value) pairs, the first one chosen."""
    options = [{"selected": i == 0, "text": text, "value": value} for i, (text, value) in enumerate(values)]
    return {
        "name": name,
        "label": label,
        "type": "custom",
        "query": ", ".join(f"{text} : {value}" for text, value in values),
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": options,
        "current": dict(options[0]),
    }


def text_variable(name: str, label: str, value: str) -> Json:
    """Return a variable that the user types."""
    chosen = {"selected": True, "text": value, "value": value}
    return {
        "name": name,
        "label": label,
        "type": "textbox",
        "query": value,
        "hide": 0,
        "options": [chosen],
        "current": chosen,
    }


def env_variable() -> Json:
    """Return the environments: of servers, so that it is filled before the first step."""
    return query_variable("env", "Environment", tag_values(schema.SERVER_BMC, "env"))


def scenario_variable(*, include_all: bool) -> Json:
    """Return the scenarios; one is chosen by default where regions are drawn: overlapping ones blend."""
    query = tag_values(schema.ENERGY_STEPS, "scenario", ENV)
    return query_variable("scenario", "Scenario", query, include_all=include_all)


def server_variable() -> Json:
    """Return the servers of the environments."""
    return query_variable("server", "Server", tag_values(schema.SERVER_BMC, "server", ENV))


def reading_variable() -> Json:
    """Return whose reading of a server is shown."""
    return custom_variable(
        "reading", "Reading", [("BMC", "/^$/"), ("meter", "/^meter:/"), ("original recorder", "/^legacy$/")]
    )


def store_variable(*, means: bool = True) -> Json:
    """Return in which retention policy the readings are; beyond 6 h the 1-min means of ``rollup`` are fast.

    Args:
        means: Whether the dashboard can be drawn from them.
    """
    policies = [("default policy", '"'), ("policy raw", '"raw"."'), ("1-min means", '"rollup"."')]
    return custom_variable("store", "Readings from", policies if means else policies[:2])


def grid_variable() -> Json:
    """Return the hidden interval of sums over servers: in a panel's own one not every server needs to be read."""
    auto = {"selected": True, "text": "auto", "value": "$__auto_interval_grid"}
    return {
        "name": "grid",
        "label": "Interval of totals",
        "type": "interval",
        "query": LONGEST_POLL,
        "auto": True,
        "auto_count": MANY_POINTS,
        "auto_min": LONGEST_POLL,
        "refresh": 2,
        "hide": 2,
        "skipUrlSync": True,
        "options": [auto, {"selected": False, "text": LONGEST_POLL, "value": LONGEST_POLL}],
        "current": auto,
    }


def lookback_variable() -> Json:
    """Return how long before the window a step may have begun."""
    return custom_variable("lookback", "Look-back", [("7 days", "7d"), ("1 day", "1d"), ("31 days", "31d")])


def footprint_variables() -> list[Json]:
    """Return the factors, as examples: the figure of one's own supplier belongs there."""
    return [
        text_variable("co2_g_per_kwh", "gCO2e per kWh", "400"),
        text_variable("price_per_kwh", "Price per kWh", "0.25"),
        text_variable("currency", "Currency", "EUR"),
    ]


def annotator_variable() -> Json:
    """Return where people's browsers find the annotator; a dashboard that has it links to its page."""
    return text_variable(ANNOTATOR, "Annotator", "http://127.0.0.1:8742")


def _annotation(name: str, query: str, colour: str, *, enable: bool = True) -> Json:
    source = {"time": "Time", "timeEnd": "timeEnd", "title": "title", "text": "text", "tags": "tags"}
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": enable,
        "hide": False,
        "iconColor": colour,
        # No `fromAnnotations`: with it InfluxQL regions lose their end (grafana#127550).
        "mappings": {key: {"source": "field", "value": value} for key, value in source.items()},
        "target": {"refId": "Anno", "rawQuery": True, "resultFormat": "table", "query": query},
    }


def layers(*where: str) -> list[Json]:
    """Return the layers in their order: scenarios below and uncoloured, else one that runs paints all yellow.

    Args:
        where: What else holds for the scenarios and steps.
    """
    shown = (ENV, SCENARIO, *where, OVERLAPS, VISIBLE)
    columns = ["title", "text", "tags", "time_end AS timeEnd"]
    # Later ones are drawn upon earlier ones.
    tail = "ORDER BY time ASC LIMIT 1000"
    steps = schema.ENERGY_STEPS
    scenario = select(columns, steps, SCENARIOS_ONLY, *shown, tail=tail)
    step = select([*columns, "newState"], steps, STEPS_ONLY, *shown, tail=tail)
    marks = {
        kind: select(
            ["title", "text", "tags"],
            schema.ENERGY_MARKS,
            ENV,
            f"\"kind\" = '{kind}'",
            "$timeFilter",
            tail=newest(1000),
        )
        for kind in schema.MARK_KINDS
    }
    return [
        {
            "builtIn": 1,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts",
            "type": "dashboard",
        },
        _annotation("Scenarios", scenario, "purple"),
        _annotation("Steps", step, "blue"),
        _annotation("Notes", marks["note"], "green"),
        _annotation("Power on and off", marks["power"], "red"),
        _annotation("Changes", marks["change"], "orange", enable=False),
    ]


def _links(variables: Sequence[Json]) -> list[Json]:
    """Return the list of all dashboards, and the annotator's page where it is known."""
    others = {
        "type": "dashboards",
        "title": "Energy",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        # The time of the comparison is 1970; nothing else wants that.
        "keepTime": False,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
    annotator = {
        "type": "link",
        "title": "Annotator",
        "url": f"${ANNOTATOR}/",
        "targetBlank": True,
        "icon": "external link",
        "tooltip": "What runs now, and reports",
        "tags": [],
    }
    has_page = any(variable["name"] == ANNOTATOR for variable in variables)
    return [others, annotator] if has_page else [others]


def dashboard(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Sequence[Json],
    panels: Sequence[Json],
    annotations: Sequence[Json] = (),
    time: tuple[str, str] = ("now-1h", "now"),
    refresh: str = "",
    timezone: str = "browser",
) -> Json:
    """Return a dashboard in the classic model, which file provisioning takes."""
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": description,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": timezone,
        "refresh": refresh,
        "time": {"from": time[0], "to": time[1]},
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "links": _links(variables),
        "templating": {"list": [datasource_variable(), *variables]},
        "annotations": {"list": list(annotations)},
        "panels": list(panels),
    }
