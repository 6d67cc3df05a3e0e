"""The queries of the committed dashboards, as InfluxDB gets them: what Grafana does to one beforehand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).resolve().parent.parent / "dashboards"
ALL = "$__all"
# Grafana takes the second where the exact interval is below the first (`rangeUtil.roundInterval`).
INTERVALS_S = (
    (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), (750, 600), (1050, 900),
    (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16_200, 10_800), (32_400, 21_600),
    (86_400, 43_200), (604_800, 86_400), (1_814_400, 604_800), (3_628_800, 2_592_000),
)  # fmt: skip


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the committed dashboards by uid."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((DASHBOARDS / "energy").glob("*.json"))
    }


def queries(board: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (where it stands, result format, query) of every target, annotation and variable."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']}/{target['refId']}", target["resultFormat"], target["query"]
    for layer in board["annotations"]["list"]:
        if "target" in layer:
            yield f"annotation {layer['name']}", layer["target"]["resultFormat"], layer["target"]["query"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", "variable", variable["query"]


def _escaped(text: str) -> str:
    # Grafana's regexEscape, as its InfluxDB data source applies it to values of multi-value variables.
    return re.sub(r"[\\^$*+?.()|[\]{}/]", r"\\\g<0>", text)


def chosen(variable: Mapping[str, Any], value: Sequence[str] | str | None, query: str) -> str:
    """Return what stands for a variable in a query: its default, or the given value or values."""
    if variable["type"] != "query":
        text: str = value if isinstance(value, str) else variable["current"]["value"]
        return _single(variable["name"], text, query)
    values = [value] if isinstance(value, str) else list(value or [ALL])
    if values == [ALL]:
        return str(variable.get("allValue", ".*"))
    return f"({'|'.join(map(_escaped, values))})"


def _single(name: str, value: str, query: str) -> str:
    """Return a single value as Grafana's data source writes it into a query.

    It is escaped where the source takes it for part of a regular expression, unless it begins like a number.
    Up to Grafana 13 all between two slashes of a line is one, later what follows a comparison; here what
    either would is escaped. Read in grafana `public/app/plugins/datasource/influxdb` and in
    grafana-influxdb-datasource `src/regexLiterals.ts`.
    """
    if re.match(r"\s*[-+]?\.?\d", value):
        return value
    between_slashes = re.search(rf"/.*\${re.escape(name)}.*/", query)
    literals = re.findall(r"[=!]~\s*/((?:\\.|[^/\\\n])*)/", query)
    in_literal = any(re.search(rf"\$({name}\b|\{{{name}\}})", literal) for literal in literals)
    return _escaped(value) if between_slashes or in_literal else value


def interval_ms(length_ms: int, points: int, least_ms: int = 10_000) -> int:
    """Return the interval that Grafana takes for a window: at least the data source's or the panel's."""
    exact_s = length_ms / points / 1000
    rounded_s = next(rounded for below, rounded in INTERVALS_S if exact_s < below)
    return max(rounded_s * 1000, least_ms)


def automatic(variable: Mapping[str, Any], length_ms: int) -> str:
    """Return the interval that a variable takes for a window; ours say minutes at least."""
    least_ms = int(variable["auto_min"].removesuffix("m")) * 60_000
    return f"{interval_ms(length_ms, variable['auto_count'], least_ms)}ms"


def interpolated(
    query: str,
    board: Mapping[str, Any],
    from_ms: int,
    to_ms: int,
    values: Mapping[str, Sequence[str] | str] | None = None,
    points: int = 500,
    least_ms: int = 10_000,
) -> str:
    """Return the query as the data source gets it."""
    grid_ms = interval_ms(to_ms - from_ms, points, least_ms)
    variables = board["templating"]["list"]
    known = {one["name"]: chosen(one, (values or {}).get(one["name"]), query) for one in variables}
    known |= {one["name"]: automatic(one, to_ms - from_ms) for one in variables if one["type"] == "interval"}
    known |= {
        "timeFilter": f"time >= {from_ms}ms and time <= {to_ms}ms",
        # Left for the server to fill in, but not without the look at slashes.
        "__interval": _single("__interval", "$__interval", query).replace("$__interval", f"{grid_ms}ms"),
        "__interval_ms": _single("__interval_ms", "$__interval_ms", query).replace(
            "$__interval_ms", str(grid_ms)
        ),
        "__from": str(from_ms),
        "__to": str(to_ms),
    }
    return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda match: known[match[1] or match[2]], query)
