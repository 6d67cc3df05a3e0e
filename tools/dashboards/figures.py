"""Single figures, with a sparkline wherever the figure stays what it is without.

Grafana's stat panel reduces a column to its figure and draws that same column as the sparkline, so the query has to
answer with rows of which the reduction is the figure. Read in @grafana/data and @grafana/ui 11 to 13:
`getFieldDisplayValues`, `BigValueLayout`, `Sparkline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards import Json
from dashboards.columns import NO_THRESHOLD
from dashboards.influxql import ENV, LAST_HOUR, SERVER, THREE_MINUTES, outer, per, select
from dashboards.panels import FEW_POINTS, LONGEST_POLL, core_panel, target
from dashboards.transformations import WITHOUT_TIME

_STEPS = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
_ALARM = {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": _STEPS}}
_LOOK = {"justifyMode": "center", "textMode": "auto", "orientation": "auto"}


@dataclass(frozen=True)
class Sparkline:
    """The values of a figure's column, row by row.

    Args:
        shows: What they are.
        bottom: Value of the lower edge, so that a few per cent do not look like much; None leaves it to Grafana.
    """

    shows: str
    bottom: int | None = 0

    def properties(self) -> Json:
        """Return what Grafana's defaults would not show, a colour, or show otherwise."""
        edge = {} if self.bottom is None else {"min": self.bottom}
        # The figure's colour, which is the threshold's: transparent.
        return {**edge, "color": {"mode": "fixed", "fixedColor": "blue"}}


def figure(
    title: str,
    description: str,
    queries: Sequence[str],
    column: str,
    unit: str,
    *,
    calc: str = "lastNotNull",
    sparkline: Sparkline | None = None,
    decimals: int | None = None,
    mappings: Sequence[Json] = (),
    alarm: bool = False,
    transformations: Sequence[Json] = (),
) -> Json:
    """Return one column of a table as a figure or text.

    Args:
        title: Of the panel.
        description: What the figure is.
        queries: What the table is made of.
        column: Its name.
        unit: Of the figure.
        calc: Grafana's reducer that makes the figure of the column.
        sparkline: The same column; None draws none.
        decimals: Of the figure; None leaves them to Grafana.
        mappings: Colours of texts.
        alarm: Whether anything above 0 is red.
        transformations: What makes one table of the queries.
    """
    defaults: Json = {"unit": unit, "noValue": "–", "mappings": list(mappings)}
    defaults |= {} if decimals is None else {"decimals": decimals}
    defaults |= sparkline.properties() if sparkline else {}
    defaults |= _ALARM if alarm else {"thresholds": NO_THRESHOLD}
    panel = core_panel(
        "stat",
        title,
        f"{description} Sparkline: {sparkline.shows}" if sparkline else description,
        [target(query, table=True) for query in queries],
        defaults=defaults,
        options={
            "reduceOptions": {"calcs": [calc], "fields": f"/^{column}$/", "values": False},
            "colorMode": "value" if alarm or mappings else "none",
            "graphMode": "area" if sparkline else "none",
            **_LOOK,
        },
        transformations=transformations,
    )
    return {**panel, "maxDataPoints": FEW_POINTS}


def present(
    title: str, description: str, measurement: str, last: str, sum_up: str, unit: str, *where: str
) -> Json:
    """Return what the servers' last values within 3 min come to, and what they came to in the hour before.

    Each row is three full minutes; the last ones end at the right edge of the window. Where nobody answered in these
    there is no figure: the row is there and empty. Rows are drawn by their number: on an axis of time, which would be
    the window's, an hour may be invisible.

    Args:
        title: Of the panel.
        description: What the figure is.
        measurement: Where the values are.
        last: The column to take the last value of.
        sum_up: InfluxQL's function over the servers.
        unit: Of the figure.
        where: Further conditions.
    """
    inner = select(
        [f"last({last}) AS last"],
        measurement,
        ENV,
        SERVER,
        *where,
        LAST_HOUR,
        group=per(THREE_MINUTES, "server"),
        tail="fill(none)",
    )
    query = outer(f'{sum_up}("last") AS "now"', inner, where=LAST_HOUR, group=THREE_MINUTES)
    return figure(
        title,
        description,
        [query],
        "now",
        unit,
        calc="last",
        sparkline=Sparkline("the same every 3 min in the hour before."),
        transformations=[WITHOUT_TIME],
    )


def over_window(
    title: str,
    description: str,
    query: str,
    column: str,
    unit: str,
    *,
    decimals: int | None = None,
    alarm: bool = False,
) -> Json:
    """Return the sum of a column that has a row for each interval of the window."""
    panel = figure(
        title,
        description,
        [query],
        column,
        unit,
        calc="sum",
        sparkline=Sparkline("what each interval adds; for the last one more may still come."),
        decimals=decimals,
        alarm=alarm,
    )
    return {**panel, "interval": LONGEST_POLL}
