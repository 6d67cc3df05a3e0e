"""Dashboard "Run detail": one run, its curve, its steps, its servers."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import common, frame
from dashboards.influxql import (
    ENV,
    MEASURABLE,
    NOT_MEASURABLE,
    RUN,
    SCENARIO,
    SCENARIOS_ONLY,
    STEPS_ONLY,
    outer,
    select,
)
from dashboards.panels import (
    QUALITY_COLOURS,
    SIDE_COLOURS,
    STATE_COLOURS,
    Json,
    bars,
    by_name,
    ci_link,
    coloured,
    colours,
    figure,
    laid_out,
    link,
    sorted_by,
    table,
    target,
)
from energyrecorder.schema import ENERGY_STEP_SERVERS, ENERGY_STEPS
from energyrecorder_analysis.quality import COARSE_U95, RESOLVED_U95

# The run is found by its id whenever it was; the look-back keeps the query off years of others.
KNOWN = "time >= ${__from}ms - $lookback AND time < ${__to}ms"

BASELINE = {
    "baseline_wh": "Baseline",
    "baseline_low_wh": "Usual from",
    "baseline_high_wh": "Usual to",
}


def _one(column: str, *where: str) -> str:
    tail = "ORDER BY time DESC LIMIT 1"
    return select([column], ENERGY_STEPS, ENV, RUN, SCENARIOS_ONLY, KNOWN, *where, tail=tail)


def _head() -> list[tuple[int, Json]]:
    states, qualities = colours(STATE_COLOURS), colours(QUALITY_COLOURS)
    quality_text = (
        f"resolved: ± is at most {RESOLVED_U95:.0%} of the energy; coarse: at most {COARSE_U95:.0%}; unresolvable: more, or "
        "shorter than two periods of the readings; pending: readings are still awaited."
    )
    energy, u95 = _one("energy_wh", MEASURABLE), _one("u95_j / 3600 AS u95_wh", MEASURABLE)
    u95_text = f"Half width of the 95 % interval of the energy. {common.GAIN_FORMULA}"
    coverage_text = "Part of the run covered by readings of all its servers."
    panels = [
        figure(
            "State",
            "How the run ended, or that it still runs.",
            _one("state"),
            "state",
            "string",
            mappings=states,
        ),
        figure("Quality", quality_text, _one("quality"), "quality", "string", mappings=qualities),
        figure("Energy", common.INTERVAL_FORMULA, energy, "energy_wh", "watth", decimals=2),
        figure("±", u95_text, u95, "u95_wh", "watth", decimals=2),
        figure(
            "Duration", "From the start to the end of the run.", _one("duration_s"), "duration_s", "dthms"
        ),
        figure("Coverage", coverage_text, _one("coverage"), "coverage", "percentunit", decimals=0),
    ]
    return [(4, panel) for panel in panels]


def _footprint() -> list[tuple[int, Json]]:
    energy = select(["energy_wh"], ENERGY_STEPS, ENV, RUN, SCENARIOS_ONLY, MEASURABLE, KNOWN)
    co2 = outer('sum("energy_wh") / 1000 * $co2_g_per_kwh AS "co2"', energy)
    cost = outer('sum("energy_wh") / 1000 * $price_per_kwh AS "cost"', energy)
    co2_text = "Energy in kWh × the factor in the title, which you set above; 400 is an example, not your supplier's."
    cost_text = "Energy in kWh × the price in the title, in its currency, which you set above."
    return [
        (4, _change()),
        (4, figure("gCO2e at $co2_g_per_kwh g/kWh", co2_text, co2, "co2", "massg", decimals=1)),
        (4, figure("Cost at $price_per_kwh per kWh", cost_text, cost, "cost", "none", decimals=4)),
        (12, _known()),
    ]


def _change() -> Json:
    text = f"Energy ÷ baseline − 1; a dash where there is none. {common.BASELINE_FORMULA}"
    return figure("Δ baseline", text, _one(common.CHANGE, MEASURABLE), "change_pct", "percent", decimals=1)


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
    tail = "ORDER BY time DESC LIMIT 20"
    query = select(columns, ENERGY_STEPS, ENV, RUN, SCENARIOS_ONLY, KNOWN, tail=tail)
    report = [{"title": "Report", "url": "$annotator/v1/runs/${__value.raw}/report.html"}]
    return table(
        "Run",
        "What is known of the run. Its scenario limits this page to its time; the report holds curve, steps and method.",
        [target(query, table=True)],
        overrides=[
            by_name("Time", displayName="Start"),
            by_name("time_end", unit="dateTimeAsIso", displayName="End"),
            link("scenario", "Zoom to this run", f"{common.zoom_link('energy-run')}&${{run:queryparam}}"),
            ci_link(),
            coloured("side", SIDE_COLOURS, 75),
            *(by_name(name, unit="watth", displayName=shown, decimals=2) for name, shown in BASELINE.items()),
            by_name("run_id", displayName="Report", links=report),
        ],
    )


def _per_server() -> Json:
    figures = ["energy_wh", "u95_j / 3600 AS u95_wh", "avg_w", "max_w"]
    trust = ["quality", "coverage", "samples"]

    def of(columns: Sequence[str], quality: str) -> Json:
        known = ["step", "server", *columns]
        where = (ENV, RUN, quality, KNOWN)
        return target(
            select(known, ENERGY_STEP_SERVERS, *where, tail="ORDER BY time ASC LIMIT 1000"), table=True
        )

    return table(
        "Per server",
        "Each step on each server: its energy ± half width of the 95 % interval. A server's figure is relative to its own "
        "sensor; sensors of different servers differ by a few per cent. A server may be unresolvable, and then has no "
        "figure, where the sum over all is not.",
        [of([*figures, *trust], MEASURABLE), of(trust, NOT_MEASURABLE)],
        transformations=[
            {"id": "merge", "options": {}},
            sorted_by("Time", descending=False),
        ],
        overrides=[
            coloured("quality", QUALITY_COLOURS, 110),
            by_name("energy_wh", unit="watth", displayName="Energy", decimals=2),
            by_name("u95_wh", unit="watth", displayName="±", decimals=2),
            by_name("avg_w", unit="watt", displayName="Mean", decimals=1),
            by_name("max_w", unit="watt", displayName="Max", decimals=1),
            by_name("coverage", unit="percentunit", displayName="Coverage", decimals=0),
        ],
    )


def _per_step() -> Json:
    columns = ["step", "state", "energy_wh"]
    where = (ENV, RUN, STEPS_ONLY, MEASURABLE, KNOWN)
    query = select(columns, ENERGY_STEPS, *where, tail="ORDER BY time ASC")
    found = [target(query, table=True)]
    return bars("Energy per step", common.INTERVAL_FORMULA, found, unit="watth", x="step", colour_by="state")


def _steps() -> Json:
    footprint = "energy_wh / 1000 * "
    return common.result_table(
        "Steps",
        ENV,
        RUN,
        STEPS_ONLY,
        KNOWN,
        figures=[
            "energy_j",
            f"{footprint}$co2_g_per_kwh AS co2_g",
            f"{footprint}$price_per_kwh AS cost",
        ],
        columns=[
            by_name("energy_j", unit="joule", displayName="Energy (J)", decimals=1, custom__width=100),
            *common.footprint_columns(cost_decimals=4),
            by_name("scenario", custom__hidden=True),
        ],
        text="gCO2e and cost = energy in kWh × the factor in the column's title, which you set above.",
    )


def _run_variable() -> Json:
    tail = "ORDER BY time DESC LIMIT 200"
    newest = select(["run_id"], ENERGY_STEPS, ENV, SCENARIO, SCENARIOS_ONLY, tail=tail)
    # InfluxDB wants inner and outer order alike.
    query = outer('DISTINCT("run_id")', newest, tail="ORDER BY time DESC")
    return frame.query_variable("run", "Run", query, include_all=False)


def build() -> Json:
    """Return the dashboard."""
    rows = [
        (4, _head()),
        (4, _footprint()),
        (9, [(24, common.power_curves("Power during the run", RUN))]),
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
            frame.lookback_variable(),
            *frame.footprint_variables(),
            frame.annotator_variable(),
        ],
        panels=laid_out(rows),
        annotations=frame.layers(RUN),
        time=("now-6h", "now"),
    )
