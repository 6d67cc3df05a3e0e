"""InfluxQL of the panels; a column or tag that the schema does not have is refused while building."""

from __future__ import annotations

import re
from collections.abc import Sequence

from energyrecorder import schema

ENV = '"env" =~ /^$env$/'
SCENARIO = '"scenario" =~ /^$scenario$/'
STEP = '"step" =~ /^$step$/'
SERVER = '"server" =~ /^$server$/'
RUN = '"run_id" =~ /^$run$/'
STEPS_ONLY = "\"level\" = 'step'"
SCENARIOS_ONLY = "\"level\" = 'scenario'"
MEASURABLE = "(\"quality\" = 'resolved' OR \"quality\" = 'coarse')"
NOT_MEASURABLE = "\"quality\" != 'resolved' AND \"quality\" != 'coarse'"
FINISHED = "\"state\" != 'running'"
# A total of a computer, by its BMC ("part" absent), its meter or the original's recorder: the user chooses. The
# slashes are the variable's: Grafana's data source escapes a single value that stands within a regular expression.
TOTAL = '"scope" = \'server\'\nAND "part" =~ $reading'
# $timeFilter sees the start alone and would hide a step that began before the window. Strict bounds: with
# <= and >= zooming to a step lists its neighbours (seen in a real Grafana).
OVERLAPS = 'time >= ${__from}ms - $lookback AND time < ${__to}ms AND "time_end" > ${__from}'
# Of steps that passed the ones narrower than a line are left out: beyond the limit the newest would be missing.
VISIBLE = '("duration_s" * 1000000 > ${__to} - ${__from} OR "state" != \'passed\')'
RECENT = "time > ${__to}ms - 3m AND time <= ${__to}ms"
WINDOW = "time >= ${__from}ms AND time < ${__to}ms"
# A curve of few points crosses a short window only if it has one before it and one behind it.
AROUND_WINDOW = "time >= ${__from}ms - $grid AND time < ${__to}ms + $grid"
LAST_HOUR = "time >= ${__to}ms - 1h AND time < ${__to}ms"
INTERVAL = "time($__interval)"
# On grids that end with the window, so that the last row is a full one.
INTERVAL_TO_END = "time($__interval, ${__to}ms)"
GRID_TO_END = "time($grid, ${__to}ms)"
THREE_MINUTES = "time(3m, ${__to}ms)"
# Servers are described hourly and on change; one that is away for weeks is still known.
KNOWN_SERVER = "time > ${__to}ms - 31d AND time <= ${__to}ms"
TELEGRAF = "energy_telegraf"
ANNOTATOR = "energy_annotator"
FROM_TELEGRAF = {schema.SERVER_POWER, schema.SERVER_BMC, schema.SERVER_INFO, TELEGRAF, ANNOTATOR}
"""Their retention policy is Telegraf's; steps, results, profiles and marks always stay in the default one."""

# What the drop-ins for watching write; they are Telegraf's names, not the schema's.
_WATCH_COLUMNS = {
    TELEGRAF: {
        "metrics_gathered",
        "buffer_size",
        "write_errors",
        "metrics_rejected",
        "metrics_dropped",
        "alias",
        "output",
    },
    ANNOTATOR: {
        "energy_annotator_sink_backlog",
        "energy_annotator_sink_refused_total",
        "sink",
        "energy_annotator_spool_bytes",
        "energy_annotator_spool_oldest_seconds",
        "env",
    },
}
_COLUMN = re.compile(
    r"(?:(?P<function>[a-z_]+)\((?P<inside>\w+)(?P<arguments>(?:, \w+)*)\)|(?P<field>\w+))(?P<arithmetic> .*)?"
)
_NAME = re.compile(r"\"([A-Za-z_]\w*)\"")


def columns_of(measurement: str) -> set[str]:
    """Return the names of all fields and tags of a measurement.

    Raises:
        KeyError: The schema has no such measurement.
    """
    if measurement in _WATCH_COLUMNS:
        return _WATCH_COLUMNS[measurement]
    known = schema.measurement(measurement)
    static = schema.STATIC_TAGS if known.static_tags else ()
    return {*known.tags, *static, *(field.name for field in known.fields)}


def select(
    columns: Sequence[str],
    measurement: str,
    *where: str,
    group: str = "",
    tail: str = "",
) -> str:
    """Return a SELECT of one measurement; a variable of the dashboard says in which policy Telegraf's are.

    Args:
        columns: ``field``, ``function(field)``, or either with `` AS name``; arithmetic after it is allowed.
        measurement: A measurement of the schema.
        where: Conditions, joined by AND; names stand in double quotes.
        group: What follows ``GROUP BY``; empty means no grouping.
        tail: ``fill``, ``ORDER BY`` and ``LIMIT``.

    Raises:
        ValueError: A name that the measurement does not have.
    """
    known = columns_of(measurement)
    written = [_column(text, known, measurement) for text in columns]
    for clause in (*where, group):
        for name in _NAME.findall(clause):
            if name not in known:
                raise ValueError(f"{measurement} has no column {name!r}, used in {clause!r}")
    # Condition by condition on a line of its own: up to Grafana 13 the data source takes all between two slashes
    # of a line for a regular expression, and escapes the variables in it, even $__interval.
    conditions = "\nAND ".join(where)
    # The variable holds the quote that opens the name, and what comes before: it may not be empty.
    table = f'${{store}}{measurement}"' if measurement in FROM_TELEGRAF else f'"{measurement}"'
    return _clauses(", ".join(written), table, conditions, group, tail)


def per(interval: str, *tags: str) -> str:
    """Return what follows ``GROUP BY`` for a row per interval and values of tags."""
    return ", ".join([interval, *(f'"{tag}"' for tag in tags)])


def newest(count: int) -> str:
    """Return what leaves the newest rows: with the oldest first a limit would leave the oldest."""
    return f"ORDER BY time DESC LIMIT {count}"


def outer(columns: str, inner: str, *, group: str = "", where: str = "", tail: str = "") -> str:
    """Return a SELECT of a sub-query."""
    return _clauses(columns, f"({inner})", where, group, tail)


def _clauses(columns: str, table: str, where: str, group: str, tail: str) -> str:
    found = f"SELECT {columns}\nFROM {table}"
    for keyword, clause in (("\nWHERE ", where), ("\nGROUP BY ", group), (" ", tail)):
        found += f"{keyword}{clause}" if clause else ""
    return found


def tag_values(measurement: str, tag: str, where: str = "") -> str:
    """Return the query of a variable that lists the values of a tag."""
    if tag not in columns_of(measurement):
        raise ValueError(f"{measurement} has no tag {tag!r}")
    return f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}"' + (f" WHERE {where}" if where else "")


def _column(text: str, known: set[str], measurement: str) -> str:
    expression, _, name = text.partition(" AS ")
    found = _COLUMN.fullmatch(expression)
    field = (found["inside"] or found["field"]) if found else expression
    if found is None or field not in known:
        raise ValueError(f"{measurement} has no column {field!r}")
    quoted = f'"{field}"'
    if found["function"]:
        quoted = f"{found['function']}({quoted}{found['arguments']})"
    quoted += found["arithmetic"] or ""
    return f'{quoted} AS "{name}"' if name else quoted
