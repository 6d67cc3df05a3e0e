"""Dashboard "Run comparison": profiles that all begin at 1970-01-01T00:00Z, one upon the other."""

from __future__ import annotations

from dashboards import Json, frame, results
from dashboards.columns import (
    QUALITY_COLOURS,
    SIDE_COLOURS,
    STATE_COLOURS,
    WH,
    by_name,
    coloured,
    energy_column,
    line_only,
    power_column,
    texts,
)
from dashboards.influxql import (
    ENV,
    FINISHED,
    INTERVAL,
    MEASURABLE,
    RUN,
    SCENARIO,
    SCENARIOS_ONLY,
    STEPS_ONLY,
    newest,
    per,
    select,
    tag_values,
)
from dashboards.panels import laid_out, table, target, timeseries
from dashboards.transformations import sorted_by
from energyrecorder.schema import ENERGY_RUN_PROFILE, ENERGY_STEPS

FIGURES = {
    "energy_wh": energy_column("energy_wh", "Energy"),
    "u95_wh": energy_column("u95_wh", "±"),
    "avg_w": power_column("avg_w", "Mean"),
    "duration_s": by_name("duration_s", unit="dthms", displayName="Duration"),
}
# Not bounded by the window, which is in 1970 here; the runs that have a profile are few.
CHOSEN_STEPS = (ENV, SCENARIO, RUN, STEPS_ONLY, MEASURABLE)


def _profiles() -> Json:
    def of(column: str, runs: str, *tags: str) -> str:
        where = (ENV, SCENARIO, f'"run" =~ /^{runs}$/', "$timeFilter")
        return select([column], ENERGY_RUN_PROFILE, *where, group=per(INTERVAL, *tags), tail="fill(none)")

    edge = line_only(custom__lineWidth=0, color={"mode": "fixed", "fixedColor": "#808080"})
    text = (
        "Power of all servers of a run, re-based so that each run starts at 0:00 (1970-01-01, UTC): the axis is the "
        "time since the start. The last 50 runs of a scenario are kept. Band = from the least to the greatest of the runs "
        "chosen as Band of, which is the range of their readings in each interval (sum over servers of min, of max), no "
        "interval of confidence: the sensors' error at one moment is not known. A line that leaves it drew what none of "
        "those runs did."
    )
    return timeseries(
        "Profiles",
        text,
        [
            target(of("mean(watts)", "$run", "run"), alias="$tag_run"),
            target(of("min(min_w)", "$band"), alias="least"),
            target(of("max(max_w)", "$band"), alias="greatest"),
        ],
        unit="watt",
        overrides=[
            by_name("least", **edge),
            by_name("greatest", **edge | {"custom__fillBelowTo": "least", "custom__fillOpacity": 20}),
        ],
    )


def _runs() -> Json:
    columns = ["run_id", "scenario", "state", "duration_s", "energy_wh", "u95_j / 3600 AS u95_wh", "avg_w"]
    where = (ENV, SCENARIO, RUN, SCENARIOS_ONLY, MEASURABLE)
    query = select([*columns, "quality", "side", "commit"], ENERGY_STEPS, *where, tail=newest(50))
    text = (
        f"{results.INTERVAL_FORMULA} Two runs differ where their intervals part; mind runs with different sides (AC, DC) "
        "or servers."
    )
    marked = [
        coloured("state", STATE_COLOURS, 85),
        coloured("quality", QUALITY_COLOURS, 110),
        coloured("side", SIDE_COLOURS, 75),
    ]
    return table("Runs", text, [target(query, table=True)], overrides=[*FIGURES.values(), *marked])


def _side_by_side() -> Json:
    query = select(["run_id", "step", "energy_wh"], ENERGY_STEPS, *CHOSEN_STEPS, tail=newest(2000))
    summed = {"energy_wh": {"operation": "aggregate", "aggregations": ["sum"]}}
    grouped = {name: {"operation": "groupby", "aggregations": []} for name in ("run_id", "step")}
    # Summed first: columns made of the plain field would all bear its title (seen in @grafana/data 13).
    matrix = {
        "columnField": "run_id",
        "rowField": "step",
        "valueField": "energy_wh (sum)",
        "emptyValue": "null",
    }
    return table(
        "Energy per step, side by side",
        "A row per step, a column per run; a step that occurs several times shows the sum of its instances; empty "
        "where it cannot be resolved.",
        [target(query, table=True)],
        unit=WH,
        overrides=[texts(unit="string")],
        transformations=[
            sorted_by("Time", descending=False),
            {"id": "groupBy", "options": {"fields": {**grouped, **summed}}},
            {"id": "groupingToMatrix", "options": matrix},
        ],
    )


def _means() -> Json:
    columns = ["mean(energy_wh) AS energy_wh", "mean(avg_w) AS avg_w"]
    query = select(columns, ENERGY_STEPS, *CHOSEN_STEPS, FINISHED, group='"step"')
    return table(
        "Mean of the chosen runs per step",
        "Mean energy and mean power of each step over the chosen runs, unresolvable ones left out.",
        [target(query, table=True)],
        overrides=[by_name("Time", custom__hidden=True), FIGURES["energy_wh"], FIGURES["avg_w"]],
    )


def build() -> Json:
    """Return the dashboard."""
    profiles = tag_values(ENERGY_RUN_PROFILE, "run", f"{ENV} AND {SCENARIO}")
    panels = [(11, _profiles()), (9, _runs()), (9, _side_by_side()), (8, _means())]
    rows = [(height, [(24, panel)]) for height, panel in panels]
    return frame.dashboard(
        "energy-compare",
        "Run comparison",
        "Profiles of runs of one scenario, each from its start.",
        variables=[
            frame.env_variable(),
            frame.scenario_variable(include_all=False),
            frame.query_variable("run", "Runs", profiles),
            frame.query_variable("band", "Band of", profiles),
        ],
        panels=laid_out(rows),
        # ISO with Z alone works: strings of epoch milliseconds show no data, numbers break the page.
        time=("1970-01-01T00:00:00.000Z", "1970-01-01T00:30:00.000Z"),
        timezone="utc",
    )
