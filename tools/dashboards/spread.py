"""The spread of a step's energy over its instances: boxes over time, and a table of the whole window."""

from __future__ import annotations

from dashboards import Json
from dashboards.columns import AS_WRITTEN, WH, by_name, energy_column, link
from dashboards.influxql import ENV, FINISHED, INTERVAL, MEASURABLE, SCENARIO, STEP, STEPS_ONLY, select
from dashboards.panels import core_panel, table, target
from energyrecorder.schema import ENERGY_STEPS

FEW_BOXES = 4
"""Boxes that a panel asks for: a week each for 30 days, six hours for a day, a quarter of an hour for an hour."""

_FIGURES = {
    "least": ("min(energy_wh)", "Least"),
    "quarter": ("percentile(energy_wh, 25)", "25 %"),
    "median": ("median(energy_wh)", "Median"),
    "three_quarters": ("percentile(energy_wh, 75)", "75 %"),
    "most": ("max(energy_wh)", "Most"),
}
_INSTANCES = (ENV, SCENARIO, STEPS_ONLY, MEASURABLE, FINISHED, "$timeFilter")


def _figures_of(*where: str, group: str, tail: str = "") -> str:
    figures = [f"{expression} AS {name}" for name, (expression, _) in _FIGURES.items()]
    figures.append("count(energy_wh) AS instances")
    return select(figures, ENERGY_STEPS, *_INSTANCES, *where, group=group, tail=tail)


def _columns() -> list[Json]:
    figures = [energy_column(key, shown) for key, (_, shown) in _FIGURES.items()]
    return [*figures, by_name("instances", unit="none", displayName="Instances")]


# percentile() 25 of a single value is empty, and a candlestick would draw its box down to 0.
_LOWER_EDGE = [
    {
        "id": "calculateField",
        "options": {
            "mode": "reduceRow",
            "reduce": {"reducer": "min", "include": ["quarter", "median"], "nullValueMode": "connected"},
            "alias": "lower",
            "replaceFields": False,
        },
    },
    {
        "id": "organize",
        "options": {"excludeByName": {"quarter": True}, "indexByName": {}, "renameByName": {}},
    },
]


def over_time() -> Json:
    """Return box plots of the chosen steps, a panel each, by the only panel of the core that draws boxes."""
    options = {
        "mode": "candles+volume",
        "candleStyle": "candles",
        "colorStrategy": "open-close",
        # Nothing rises or falls within a box: one colour, and not one of those of success and failure.
        "colors": dict.fromkeys(("up", "down", "flat"), "blue"),
        "fields": {
            "open": "lower",
            "high": "most",
            "low": "least",
            "close": "three_quarters",
            "volume": "instances",
        },
        # Else the median is left out.
        "includeAllFields": True,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "multi"},
    }
    custom = {"drawStyle": "points", "pointSize": 7, "showPoints": "always", "fillOpacity": 30}
    columns = [energy_column("lower", _FIGURES["quarter"][1])]
    columns += [column for column in _columns() if column["matcher"]["options"] != "quarter"]
    panel = core_panel(
        "candlestick",
        "Spread of $step",
        "A box per interval of time, at the interval's begin: its edges are the quartiles (percentile() 25 and 75 of the "
        "finished instances that began in the interval), the whiskers reach from the least to the most energy, the point "
        "is the median, the bar at the bottom counts the instances; a single one is a line. Drawn as a candlestick with "
        "open = 25 %, close = 75 %, low = least, high = most; its colour means nothing. Instances that cannot be "
        "resolved are left out. Steps are chosen above the panels or in the table below.",
        [target(_figures_of(STEP, group=INTERVAL, tail="fill(none)"), table=True)],
        defaults={"unit": WH, "color": {"mode": "fixed", "fixedColor": "orange"}, "custom": custom},
        options=options,
        overrides=columns,
        transformations=_LOWER_EDGE,
    )
    return {
        **panel,
        "maxDataPoints": FEW_BOXES,
        "repeat": "step",
        "repeatDirection": "h",
        "maxPerRow": 2,
    }


def per_step() -> Json:
    """Return the figures of all steps."""
    shown = "/d/energy-trend?var-step=${__value.raw:percentencode}&${env:queryparam}&${scenario:queryparam}"
    return table(
        "Spread of energy per step",
        "Least and most energy, median and quartiles of each step over its finished instances in the window; those that "
        "cannot be resolved are left out. The name shows how the spread of that step went over time.",
        [target(_figures_of(group='"step"'), table=True)],
        overrides=[
            by_name("Time", custom__hidden=True),
            link(
                "step", "Over time", f"{shown}&${{datasource:queryparam}}&${{__url_time_range}}&{AS_WRITTEN}"
            ),
            *_columns(),
        ],
    )
