"""The figures of *Run detail*: one run, and as sparklines the runs of its scenario that ended before it."""

from __future__ import annotations

from dashboards import Json, results
from dashboards.columns import QUALITY_COLOURS, STATE_COLOURS, colours
from dashboards.figures import Sparkline, figure
from dashboards.influxql import ENV, MEASURABLE, RUN, SCENARIOS_ONLY, newest, select
from dashboards.transformations import calculated, joined, sorted_by
from energyrecorder.schema import ENERGY_STEPS
from energyrecorder_analysis.quality import COARSE_U95, RESOLVED_U95

# The run is found by its id whenever it was; the look-back keeps the query off years of others.
KNOWN = "time >= ${__from}ms - $lookback AND time < ${__to}ms"

_NEWEST = newest(1)
# The end of the run beside each run of its scenario. Where the run has no value no row is left: the figure never is
# that of another run.
_UP_TO_THE_RUN = [
    # Not "inner": of rows with one scenario Grafana 11.0 would keep a single one.
    *joined("scenario", "outerTabular"),
    calculated("later", "time_end", "-", "end"),
    {
        "id": "filterByValue",
        "options": {
            "type": "include",
            "match": "all",
            "filters": [{"fieldName": "later", "config": {"id": "lowerOrEqual", "options": {"value": 0}}}],
        },
    },
    sorted_by("time_end", descending=False),
]


def _number(
    title: str,
    text: str,
    shown: str,
    unit: str,
    *where: str,
    decimals: int | None = None,
    bottom: int | None = 0,
) -> Json:
    """Return a column of the run, or what is made of it `` AS name``; without a value for this run a dash."""
    of_runs = (ENV, SCENARIOS_ONLY, KNOWN, *where)
    runs = select(["scenario", "time_end", shown], ENERGY_STEPS, *of_runs, tail="ORDER BY time ASC")
    run = select(["scenario", "time_end AS end"], ENERGY_STEPS, RUN, *of_runs, tail=_NEWEST)
    until_then = "the runs of its scenario up to this one, by their ends, as far as the look-back reaches."
    return figure(
        title,
        text,
        [runs, run],
        shown.rpartition(" AS ")[2],
        unit,
        calc="last",
        sparkline=Sparkline(until_then, bottom),
        decimals=decimals,
        transformations=_UP_TO_THE_RUN,
    )


def _text(title: str, text: str, column: str, known: dict[str, str]) -> Json:
    query = select([column], ENERGY_STEPS, ENV, RUN, SCENARIOS_ONLY, KNOWN, tail=_NEWEST)
    return figure(title, text, [query], column, "string", mappings=colours(known))


def quality() -> list[Json]:
    """Return how the run went, what it needed, and how far that may be trusted."""
    quality_text = (
        f"resolved: ± is at most {RESOLVED_U95:.0%} of the energy; coarse: at most {COARSE_U95:.0%}; unresolvable: more, or "
        "shorter than two periods of the readings; pending: readings are still awaited."
    )
    u95_text = f"Half width of the 95 % interval of the energy. {results.GAIN_FORMULA}"
    coverage_text = "Part of the run covered by readings of all its servers."
    return [
        _text("State", "How the run ended, or that it still runs.", "state", STATE_COLOURS),
        _text("Quality", quality_text, "quality", QUALITY_COLOURS),
        _number("Energy", results.INTERVAL_FORMULA, "energy_wh", "watth", MEASURABLE, decimals=2),
        _number("±", u95_text, "u95_j / 3600 AS u95_wh", "watth", MEASURABLE, decimals=2),
        _number("Duration", "From the start to the end of the run.", "duration_s", "dthms"),
        _number("Coverage", coverage_text, "coverage", "percentunit", decimals=0),
    ]


def footprint() -> list[Json]:
    """Return the run against its baseline, and what it caused by the factors of the dashboard."""
    change_text = f"Energy ÷ baseline − 1; a dash where there is none. {results.BASELINE_FORMULA}"
    co2_text = "Energy in kWh × the factor in the title, which you set above; 400 is an example, not your supplier's."
    cost_text = "Energy in kWh × the price in the title, which you set above with its currency."
    co2, cost = "energy_wh / 1000 * $co2_g_per_kwh AS co2_g", "energy_wh / 1000 * $price_per_kwh AS cost"
    return [
        _number("Δ baseline", change_text, results.CHANGE, "percent", MEASURABLE, decimals=1, bottom=None),
        _number(results.CARBON, co2_text, co2, "massg", MEASURABLE, decimals=1),
        _number(results.COST, cost_text, cost, "none", MEASURABLE, decimals=4),
    ]
