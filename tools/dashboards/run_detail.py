"""Dashboard "Run detail": one run, its curve, its steps, its servers."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import Json, frame, power, results, run_figures
from dashboards.columns import (
    KJ,
    QUALITY_COLOURS,
    SIDE_COLOURS,
    WH,
    by_name,
    ci_link,
    coloured,
    energy_column,
    link,
    power_column,
)
from dashboards.influxql import (
    ENV,
    MEASURABLE,
    NOT_MEASURABLE,
    RUN,
    SCENARIO,
    SCENARIOS_ONLY,
    STEPS_ONLY,
    newest,
    outer,
    select,
)
from dashboards.panels import bars, laid_out, table, target
from dashboards.run_figures import KNOWN
from dashboards.transformations import merged
from energyrecorder.schema import ENERGY_STEP_SERVERS, ENERGY_STEPS

BASELINE = {
    "baseline_wh": "Baseline",
    "baseline_low_wh": "Usual from",
    "baseline_high_wh": "Usual to",
}


def _known() -> Json:
    columns = [
        "scenario",
        "group",
        "commit",
        "ci_url",
        "method",
        "side",
        "reason",
        "servers",
        *BASELINE,
        "run_id",
        "time_end",
    ]
    query = select(columns, ENERGY_STEPS, ENV, RUN, SCENARIOS_ONLY, KNOWN, tail=newest(20))
    report = [{"title": "Report", "url": "$annotator/v1/runs/${__value.raw}/report.html"}]
    return table(
        "Run",
        "What is known of the run. Its scenario limits this page to its time; the report holds curve, steps and method.",
        [target(query, table=True)],
        overrides=[
            by_name("Time", displayName="Start"),
            by_name("time_end", unit="dateTimeAsIso", displayName="End"),
            link("scenario", "Zoom to this run", results.zoom_link("energy-run")),
            ci_link(),
            coloured("side", SIDE_COLOURS, 75),
            *(energy_column(name, shown) for name, shown in BASELINE.items()),
            by_name("run_id", displayName="Report", links=report),
        ],
    )


def _per_server() -> Json:
    figures = ["energy_wh", "u95_j / 3600 AS u95_wh", "avg_w", "max_w"]
    trust = ["quality", "coverage", "samples"]

    def of(columns: Sequence[str], quality: str) -> Json:
        known = ["step", "server", *columns]
        where = (ENV, RUN, quality, KNOWN)
        return target(select(known, ENERGY_STEP_SERVERS, *where, tail=newest(1000)), table=True)

    return table(
        "Per server",
        "Each step on each server: its energy ± half width of the 95 % interval. A server's figure is relative to its own "
        "sensor; sensors of different servers differ by a few per cent. A server may be unresolvable, and then has no "
        "figure, where the sum over all is not. Of both kinds the newest 1000 rows are shown.",
        [of([*figures, *trust], MEASURABLE), of(trust, NOT_MEASURABLE)],
        transformations=merged(),
        overrides=[
            coloured("quality", QUALITY_COLOURS, 110),
            energy_column("energy_wh", "Energy"),
            energy_column("u95_wh", "±"),
            power_column("avg_w", "Mean"),
            power_column("max_w", "Max"),
            by_name("coverage", unit="percentunit", displayName="Coverage", decimals=0),
        ],
    )


def _per_step() -> Json:
    columns = ["step", "state", "energy_wh"]
    where = (ENV, RUN, STEPS_ONLY, MEASURABLE, KNOWN)
    query = select(columns, ENERGY_STEPS, *where, tail="ORDER BY time ASC")
    return bars("Energy per step", results.INTERVAL_FORMULA, query, unit=WH, x="step", colour_by="state")


def _steps() -> Json:
    footprint = "energy_wh / 1000 * "
    return results.result_table(
        "Steps",
        ENV,
        RUN,
        STEPS_ONLY,
        KNOWN,
        uid="energy-run",
        figures=[
            "energy_j / 1000 AS energy_kj",
            f"{footprint}$co2_g_per_kwh AS co2_g",
            f"{footprint}$price_per_kwh AS cost",
        ],
        columns=[
            by_name("energy_kj", unit=KJ, displayName="Energy (kJ)", decimals=3, custom__width=115),
            *results.footprint_columns(cost_decimals=4),
            by_name("scenario", custom__hidden=True),
        ],
        text="gCO2e and cost = energy in kWh × the factor in the column's title, which you set above.",
    )


def _run_variable() -> Json:
    runs = select(["run_id"], ENERGY_STEPS, ENV, SCENARIO, SCENARIOS_ONLY, tail=newest(200))
    # InfluxDB wants inner and outer order alike.
    query = outer('DISTINCT("run_id")', runs, tail="ORDER BY time DESC")
    return frame.query_variable("run", "Run", query, include_all=False)


def build() -> Json:
    """Return the dashboard."""
    rows = [
        (4, [(4, panel) for panel in run_figures.quality()]),
        (4, [(8, panel) for panel in run_figures.footprint()]),
        (4, [(24, _known())]),
        (9, [(24, power.power_curves("Power during the run", RUN))]),
        (9, [(10, _per_step()), (14, _per_server())]),
        (9, [(24, _steps())]),
    ]
    return frame.dashboard(
        "energy-run",
        "Run detail",
        "One run: head, curve, steps, servers.",
        variables=[
            frame.env_variable(),
            frame.scenario_variable(include_all=True),
            _run_variable(),
            frame.server_variable(),
            frame.reading_variable(),
            frame.store_variable(),
            frame.grid_variable(),
            frame.lookback_variable(),
            *frame.footprint_variables(),
            frame.annotator_variable(),
        ],
        panels=laid_out(rows),
        annotations=frame.layers(RUN),
        time=("now-6h", "now"),
    )
