"""Tables of more steps than they show: a real InfluxDB's answers through Grafana's own code."""

from __future__ import annotations

import pytest

from energyrecorder import schema
from grafana_data import MINUTE_MS
from grafana_queries import dashboards, interpolated
from support import grafana_mapper

BOARDS = dashboards()
DATABASE = "many_steps"
NOW = 1_800_000_000_000
STEPS = 1100


def lines():
    """Yield a run of many steps of a minute each, the last one ends now."""
    steps = schema.measurement(schema.ENERGY_STEPS)
    servers = schema.measurement(schema.ENERGY_STEP_SERVERS)
    for number in range(STEPS):
        begin_ms = NOW - (STEPS - number) * MINUTE_MS
        step = {"env": "pod1", "scenario": "soak", "step": f"step-{number}"}
        result = {"run_id": "run", "quality": "resolved", "energy_wh": 1.0}
        ended = {"state": "passed", "duration_s": 60.0, "time_end": begin_ms + MINUTE_MS}
        yield steps.line({**step, "level": "step"}, {**result, **ended}, begin_ms * 10**6)
        yield servers.line({**step, "server": "a"}, result, begin_ms * 10**6)


@pytest.mark.parametrize(
    ("uid", "title", "most"),
    [
        ("energy-live", "Results", 500),
        ("energy-run", "Steps", 500),
        ("energy-run", "Per server", 1000),
        ("energy-compare", "Energy per step, side by side", STEPS),
    ],
)
def test_the_newest_steps_are_shown_in_their_order(influxd, mapper, uid, title, most):
    """A limit leaves out the oldest ones."""
    influxd.fill(DATABASE, lines())
    panel = next(panel for panel in BOARDS[uid]["panels"] if panel["title"] == title)
    frames = []
    for target in panel["targets"]:
        window = (NOW - STEPS * MINUTE_MS, NOW)
        series = influxd.query(interpolated(target["query"], BOARDS[uid], *window), DATABASE)
        frames += grafana_mapper.table_frame(series, target["refId"])
    ((found,),) = grafana_mapper.run(mapper, [{"panel": panel, "frames": frames}])
    shown = next(column["values"] for column in found["columns"] if column["name"].startswith("step"))
    assert shown == [f"step-{number}" for number in range(STEPS - most, STEPS)]
