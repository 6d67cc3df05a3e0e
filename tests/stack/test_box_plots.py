"""The boxes of *Scenario trend*: a real InfluxDB's quartiles in the fields that a candlestick draws."""

from __future__ import annotations

import pytest

from energyrecorder import schema
from grafana_data import DAY_MS
from grafana_queries import dashboards, interpolated
from support import grafana_mapper

BOARD = dashboards()["energy-trend"]
PANEL = next(panel for panel in BOARD["panels"] if panel["type"] == "candlestick")
DATABASE = "boxes"
WEEK_MS = 7 * DAY_MS
# The begin of one of InfluxDB's weeks, which begin on Thursdays.
NOW = 2_983 * WEEK_MS
STEP = "iperf, 10 GBit [2]"
# By week before NOW: energies in Wh.
INSTANCES = {3: [7.0, 1.0, 2.0, 4.0, 3.0, 100.0, 5.0, 6.0], 2: [42.0], 1: [8.0, 10.0]}


def lines():
    """Yield finished instances, and what must not count: another step, unresolvable, running."""
    others = [
        (STEP, 900.0, "unresolvable", "passed"),
        (STEP, 901.0, "resolved", "running"),
        ("boot", 902.0, "resolved", "passed"),
    ]
    for week, energies in INSTANCES.items():
        begin_ms = NOW - week * WEEK_MS
        instances = [(STEP, energy_wh, "coarse", "failed") for energy_wh in energies]
        for number, (step, energy_wh, quality, state) in enumerate((*instances, *others)):
            tags = {"env": "pod1", "scenario": "functest", "step": step, "level": "step"}
            fields = {"energy_wh": energy_wh, "quality": quality, "state": state}
            yield schema.measurement(schema.ENERGY_STEPS).line(tags, fields, (begin_ms + number) * 10**6)


@pytest.fixture(scope="module")
def boxes(influxd, mapper):
    """The columns that the panel draws, by their titles."""
    influxd.fill(DATABASE, lines())
    (target,) = PANEL["targets"]
    window = (NOW - 30 * DAY_MS, NOW)
    query = interpolated(target["query"], BOARD, *window, {"step": STEP}, points=PANEL["maxDataPoints"])
    frames = grafana_mapper.table_frame(influxd.query(query, DATABASE), "A")
    ((frame,),) = grafana_mapper.run(mapper, [{"panel": PANEL, "frames": frames}])
    return {column["name"]: column["values"] for column in frame["columns"]}


def drawn(boxes, part):
    return boxes[PANEL["options"]["fields"][part]]


def test_a_box_holds_the_middle_half_of_its_week(boxes):
    """Eight instances, one of them far off: edges by percentile(), whiskers to the ends."""
    assert boxes["Time"] == [NOW - week * WEEK_MS for week in INSTANCES]
    assert [drawn(boxes, part)[0] for part in ("low", "open", "close", "high")] == [1.0, 2.0, 6.0, 100.0]
    assert boxes["median"][0] == 4.5
    assert drawn(boxes, "volume") == [8, 1, 2]


def test_a_single_instance_is_a_line_not_a_box_from_zero(boxes):
    """percentile() of one value is empty, and an empty edge would be drawn at 0."""
    assert [drawn(boxes, part)[1] for part in ("low", "open", "close", "high")] == [42.0] * 4
    assert [drawn(boxes, part)[2] for part in ("low", "open", "close", "high")] == [8.0, 8.0, 10.0, 10.0]
    assert all(None not in values for values in boxes.values())


def test_nothing_but_parts_of_the_box_is_drawn(boxes):
    """The panel draws every column that it gets: the median is the only one beside the box."""
    assert boxes.keys() - {"Time", "median"} == set(PANEL["options"]["fields"].values())
    assert PANEL["options"]["includeAllFields"] is True


def test_a_box_does_not_look_like_a_price(boxes):
    """One colour, whichever way the edges lie; a panel for each chosen step."""
    assert len(set(PANEL["options"]["colors"].values())) == 1
    assert PANEL["repeat"] == "step"
    assert "$step" in PANEL["title"]
