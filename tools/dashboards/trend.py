"""Dashboard "Scenario trend": energy per run over time, and who draws most."""

from __future__ import annotations

from dashboards import Json, frame, results, spread
from dashboards.columns import WH, W, by_name, by_pattern, energy_column, line_only, power_column
from dashboards.influxql import (
    ENV,
    FINISHED,
    MEASURABLE,
    SCENARIO,
    SCENARIOS_ONLY,
    STEPS_ONLY,
    newest,
    select,
    tag_values,
)
from dashboards.panels import bars, histogram, laid_out, scatter, table, target, timeseries
from dashboards.transformations import sorted_by
from energyrecorder.schema import ENERGY_STEPS

RUNS = (ENV, SCENARIO, SCENARIOS_ONLY, MEASURABLE, FINISHED)


def _over_time() -> Json:
    def runs(column: str, *which: str) -> str:
        return select([column], ENERGY_STEPS, *RUNS, *which, "$timeFilter", group='"scenario"')

    return timeseries(
        "Energy per run",
        "One point per finished run at its start, red if it did not pass; runs that these sensors cannot resolve are "
        f"left out. Compare runs only where their intervals (±) part. {results.BASELINE_FORMULA} baseline: that median; from, "
        "to: that range.",
        [
            target(runs("energy_wh", "\"state\" = 'passed'"), alias="$tag_scenario"),
            target(runs("energy_wh", "\"state\" != 'passed'"), alias="$tag_scenario, not passed"),
            target(runs("u95_j / 3600 AS u95_wh"), alias="± $tag_scenario"),
            target(runs("baseline_wh"), alias="baseline $tag_scenario"),
            target(runs("baseline_low_wh"), alias="from $tag_scenario"),
            target(runs("baseline_high_wh"), alias="to $tag_scenario"),
        ],
        unit=WH,
        points=True,
        overrides=[
            by_pattern("/, not passed$/", color={"mode": "fixed", "fixedColor": "red"}),
            # Runs lie hours apart: joined all the same.
            by_pattern("/^baseline /", **line_only(custom__spanNulls=True)),
            by_pattern(
                "/^(from|to) /",
                **line_only(custom__spanNulls=True, custom__lineStyle={"fill": "dot", "dash": [0, 8]}),
            ),
        ],
    )


def _runs() -> Json:
    figures = {
        "baseline_wh": ("Baseline", WH, 2),
        "low_pct": ("Usual from", "percent", 1),
        "high_pct": ("Usual to", "percent", 1),
    }
    return results.result_table(
        "Runs",
        ENV,
        SCENARIO,
        SCENARIOS_ONLY,
        "$timeFilter",
        newest_first=True,
        figures=[
            results.CHANGE,
            "baseline_wh",
            "baseline_low_wh / baseline_wh * 100 - 100 AS low_pct",
            "baseline_high_wh / baseline_wh * 100 - 100 AS high_pct",
        ],
        columns=[
            by_name("change_pct", unit="percent", displayName="Δ", decimals=1),
            *(
                by_name(name, unit=unit, displayName=shown, decimals=decimals)
                for name, (shown, unit, decimals) in figures.items()
            ),
        ],
        text=f"Δ = energy ÷ baseline − 1. {results.BASELINE_FORMULA} Usual from, to: that range against the baseline.",
    )


def _ranking(title: str, tag: str, level: str) -> Json:
    figures = ["mean(avg_w) AS mean_w", "mean(energy_wh) AS mean_wh", "count(energy_wh) AS runs"]
    query = select(
        figures, ENERGY_STEPS, ENV, SCENARIO, level, MEASURABLE, FINISHED, "$timeFilter", group=f'"{tag}"'
    )
    return table(
        title,
        f"Per {tag}: mean over its finished instances in the window of mean power and energy; instances that cannot be "
        "resolved are left out. Sorted by mean power.",
        [target(query, table=True)],
        overrides=[
            by_name("Time", custom__hidden=True),
            power_column("mean_w", "Mean power"),
            energy_column("mean_wh", "Mean energy"),
            by_name("runs", displayName="Instances"),
        ],
        transformations=[sorted_by("mean_w", descending=True)],
    )


def _shapes() -> list[tuple[int, Json]]:
    pairs = select(["duration_s", "energy_wh"], ENERGY_STEPS, *RUNS, "$timeFilter", tail=newest(2000))
    runs = select(["energy_wh"], ENERGY_STEPS, *RUNS, "$timeFilter")
    means = select(["mean(avg_w) AS mean_w"], ENERGY_STEPS, *RUNS, "$timeFilter", group='"scenario"')
    pairs_text = (
        "One point per run: shows whether a run needs more because it lasts longer or because it draws more."
    )
    ranking = bars(
        "Power ranking of scenarios",
        "Mean over the runs in the window of their mean power, highest first.",
        means,
        unit=W,
        x="scenario",
        transformations=[sorted_by("mean_w", descending=True)],
    )
    return [
        (
            8,
            scatter("Duration against energy", pairs_text, pairs, x="duration_s", y="energy_wh", unit=WH),
        ),
        (8, histogram("Distribution", "How many runs needed how much energy.", runs, unit=WH)),
        (8, ranking),
    ]


def build() -> Json:
    """Return the dashboard."""
    scenarios = _ranking("Scenarios", "scenario", SCENARIOS_ONLY)
    steps = _ranking("Steps and VNFs", "step", STEPS_ONLY)
    rows = [
        (9, [(24, _over_time())]),
        (8, _shapes()),
        (8, [(12, scenarios), (12, steps)]),
        (9, [(24, spread.over_time())]),
        (8, [(24, spread.per_step())]),
        (10, [(24, _runs())]),
    ]
    return frame.dashboard(
        "energy-trend",
        "Scenario trend",
        "Energy per run over time, distribution and ranking.",
        variables=[
            frame.env_variable(),
            frame.scenario_variable(include_all=True),
            frame.query_variable(
                "step", "Step", tag_values(ENERGY_STEPS, "step", f"{ENV} AND {SCENARIO}"), include_all=False
            ),
        ],
        panels=laid_out(rows),
        time=("now-30d", "now"),
    )
