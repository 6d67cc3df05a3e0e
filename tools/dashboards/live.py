"""Dashboard "Live power & steps": curves with steps as bands, now."""

from __future__ import annotations

from dashboards import Json, frame, power, results
from dashboards.figures import figure, present
from dashboards.influxql import ENV, OVERLAPS, SCENARIO, STEPS_ONLY, newest, select
from dashboards.panels import gantt, laid_out
from energyrecorder.schema import ENERGY_STEPS, SERVER_BMC

SILENT_MIN = 15
"""What runs has its end moved on every ten seconds, less often while the sink is behind."""


def _running() -> Json:
    query = select(
        ["title", "state", "time_end"],
        ENERGY_STEPS,
        ENV,
        SCENARIO,
        "\"state\" = 'running'",
        f'"time_end" > ${{__to}} - {SILENT_MIN * 60_000}',
        "time >= ${__from}ms - $lookback",
        tail=newest(1),
    )
    text = (
        "The step or scenario that began last and still runs: state = running and end moved on within "
        f"{SILENT_MIN} min."
    )
    return figure("Running", text, [query], "title", "string")


def _polled() -> list[tuple[int, Json]]:
    up_text = "Servers whose last poll within 3 min gave all the totals that are expected of it."
    polled_text = (
        "Servers polled within 3 min, whatever came of it; more than Servers up means that some are down."
    )
    return [
        (4, present("Servers up", up_text, SERVER_BMC, "up", "sum", "none")),
        (4, present("Servers polled", polled_text, SERVER_BMC, "up", "count", "none")),
    ]


def build() -> Json:
    """Return the dashboard."""
    steps = select(
        ["step", "state", "time_end"],
        ENERGY_STEPS,
        ENV,
        SCENARIO,
        STEPS_ONLY,
        OVERLAPS,
        tail="ORDER BY time ASC",
    )
    gantt_text = "Each step from its start to its end, coloured by its state."
    rows = [
        (4, [(5, power.power_now()), (7, _running()), (4, power.window_energy()), *_polled()]),
        (10, [(24, power.power_curves("Power and steps"))]),
        (8, [(24, gantt("Steps", gantt_text, steps))]),
        (9, [(24, results.result_table("Results", ENV, SCENARIO, STEPS_ONLY, OVERLAPS))]),
    ]
    return frame.dashboard(
        "energy-live",
        "Live power & steps",
        "Power of the servers with test steps as bands.",
        variables=[
            frame.env_variable(),
            frame.scenario_variable(include_all=False),
            frame.server_variable(),
            frame.reading_variable(),
            frame.store_variable(),
            frame.grid_variable(),
            frame.lookback_variable(),
            frame.annotator_variable(),
        ],
        panels=laid_out(rows),
        annotations=frame.layers(),
        refresh="10s",
    )
