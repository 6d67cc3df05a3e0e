"""Results of steps and runs, as several dashboards show them."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import Json
from dashboards.columns import (
    AS_WRITTEN,
    GRAMS,
    QUALITY_COLOURS,
    SIDE_COLOURS,
    STATE_COLOURS,
    by_name,
    ci_link,
    coloured,
    energy_column,
    link,
    power_column,
)
from dashboards.influxql import MEASURABLE, NOT_MEASURABLE, newest, select
from dashboards.panels import table, target
from dashboards.transformations import merged
from energyrecorder.schema import ENERGY_STEPS

INTERVAL_FORMULA = (
    "Energy = integral of the power between the step's edges; ± = half width of its 95 % interval (u95). A step "
    "that these sensors cannot resolve has no figure here, only its quality and the reason."
)
GAIN_FORMULA = (
    "The interval holds the sensor's systematic gain where it is known; where not, the figure is relative to the "
    "BMC's own sensor (column Gain)."
)
BASELINE_FORMULA = (
    "The annotator holds a run that passed against the runs of its scenario before it (the last 20 that passed, of these the "
    "comparable ones, 5 at least: same environment, servers, sensors, sides and work): their median, and the range in which "
    "one more of them lies in 95 % of cases (prediction interval, normal on a log scale)."
)
CARBON = "gCO2e at $co2_g_per_kwh g/kWh"
COST = "Cost in $currency at $price_per_kwh per kWh"
CHANGE = "energy_wh / baseline_wh * 100 - 100 AS change_pct"
_COMMON = ["scenario", "step", "state", "duration_s", "time_end"]
_FIGURES = [
    "energy_wh",
    "u95_j / 3600 AS u95_wh",
    "avg_w",
    "max_w",
    "net_j / 3600 AS net_wh",
    "u95_gain_j / 3600 AS gain_wh",
]
_TRUST = ["quality", "reason", "coverage", "side", "overlap", "ci_url"]


def footprint_columns(*, cost_decimals: int) -> list[Json]:
    """Return the overrides of the columns ``co2_g`` and ``cost``, whose titles name their factors."""
    return [
        by_name("co2_g", unit=GRAMS, displayName=CARBON, decimals=1),
        by_name("cost", unit="none", displayName=COST, decimals=cost_decimals),
    ]


def zoom_link(uid: str) -> str:
    """Return the address of a dashboard over the time of the row that is clicked, and for its run."""
    return (
        f'/d/{uid}?from=${{__data.fields["Time"].numeric}}&to=${{__data.fields["time_end"].numeric}}'
        f'&var-run=${{__data.fields["run_id"]}}'
        f"&${{env:queryparam}}&${{datasource:queryparam}}&{AS_WRITTEN}"
    )


def _result_columns(uid: str) -> list[Json]:
    return [
        by_name("Time", displayName="Start", custom__width=165),
        link("step", "Zoom to this step", zoom_link(uid)),
        link("scenario", "Open this run", zoom_link("energy-run")),
        coloured("state", STATE_COLOURS, 85),
        coloured("quality", QUALITY_COLOURS, 110),
        coloured("side", SIDE_COLOURS, 75),
        by_name("duration_s", unit="dthms", displayName="Duration", custom__width=100),
        by_name("time_end", unit="dateTimeAsIso", displayName="End", custom__width=165),
        energy_column("energy_wh", "Energy", custom__width=100),
        energy_column("u95_wh", "±", custom__width=90),
        energy_column("net_wh", "Above idle", custom__width=100),
        energy_column("gain_wh", "Gain", noValue="relative to the BMC's sensor"),
        power_column("avg_w", "Mean", custom__width=85),
        power_column("max_w", "Max", custom__width=85),
        by_name("coverage", unit="percentunit", displayName="Coverage", decimals=0, custom__width=85),
        by_name("overlap", displayName="Overlapping steps", custom__width=80),
        ci_link(),
        by_name(
            "run_id", custom__hidden=True, custom__hideFrom={"viz": True, "legend": True, "tooltip": True}
        ),
    ]


def result_table(
    title: str,
    *where: str,
    uid: str = "energy-live",
    newest_first: bool = False,
    figures: Sequence[str] = (),
    columns: Sequence[Json] = (),
    text: str = "",
) -> Json:
    """Return the steps with their results; the two queries keep unresolvable figures off the page.

    Args:
        title: Of the panel.
        where: Which steps.
        uid: Dashboard that a step's link opens.
        newest_first: Their order; else the newest is the last, and there is a total.
        figures: Further columns of steps that could be resolved.
        columns: Overrides of these columns.
        text: What they mean.
    """
    tail = newest(500)
    shown = [*_COMMON, *_FIGURES, *figures, *_TRUST, "run_id"]
    measurable = select(shown, ENERGY_STEPS, *where, MEASURABLE, tail=tail)
    others = select([*_COMMON, *_TRUST, "run_id"], ENERGY_STEPS, *where, NOT_MEASURABLE, tail=tail)
    return table(
        title,
        f"{INTERVAL_FORMULA} {GAIN_FORMULA} AC/DC: mixed means that servers report different sides of the power "
        "supply. Coverage = part of the step covered by readings. Above idle = energy − idle power × duration. "
        "The newest 500 with a figure are shown, and the newest 500 without."
        f"{text and f' {text}'}",
        [target(measurable, table=True), target(others, table=True)],
        overrides=[*_result_columns(uid), *columns],
        transformations=merged(descending=newest_first),
        total_of=[] if newest_first else ["energy_wh"],
    )
