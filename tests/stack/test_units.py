"""How figures, columns and names are written: by Grafana's own code, from values made for it."""

from __future__ import annotations

import pytest

from grafana_queries import dashboards
from support import grafana_mapper

BOARDS = dashboards()
# Each would be another number, or the same one written otherwise.
NAMES = ["007", "1e5", "12345e7"]


def panel_of(uid, title):
    return next(panel for panel in BOARDS[uid]["panels"] if panel["title"] == title)


def frame(**columns):
    """Return an answer with these columns, one per name."""
    fields = [
        {"name": name, "type": "string" if isinstance(values[0], str) else "number", "values": values}
        for name, values in columns.items()
    ]
    return {"refId": "A", "fields": [{**field, "config": {}} for field in fields]}


def columns(mapper, uid, title, **given):
    """Return the texts of a table's columns."""
    panel = panel_of(uid, title)
    ((found,),) = grafana_mapper.run(mapper, [{"panel": panel, "frames": [frame(**given)]}])
    return {column["name"]: column["texts"] for column in found["columns"]}


@pytest.mark.parametrize(
    ("uid", "title", "column"),
    [
        ("energy-live", "Results", "energy_wh"),
        ("energy-run", "Per server", "energy_wh"),
        ("energy-trend", "Scenarios", "mean_wh"),
        ("energy-trend", "Spread of energy per step", "median"),
        ("energy-compare", "Runs", "energy_wh"),
    ],
)
def test_a_column_of_energy_keeps_its_unit(mapper, uid, title, column):
    """So that a longer number is a larger one."""
    found = columns(mapper, uid, title, Time=[1, 2, 3], mean_w=[3, 2, 1], **{column: [3, 950, 12345]})
    assert found[column] == ["3.00 Wh", "950.00 Wh", "12345.00 Wh"]


def test_columns_of_the_fleet_and_of_carbon_keep_theirs(mapper):
    values = {"energy_kwh": [12.345, 0.95, 0.003], "co2_g": [4938, 380, 1.2]}
    found = columns(mapper, "energy-fleet", "Energy by ${group_by}", **values)
    assert found["energy_kwh"] == ["12.345 kWh", "0.950 kWh", "0.003 kWh"]
    assert found["co2_g"] == ["4938.0 g", "380.0 g", "1.2 g"]


def test_power_of_servers_keeps_its_unit(mapper):
    """A tenth of a watt is shown of 1,249 W too."""
    found = columns(mapper, "energy-fleet", "Servers", server=["a", "b"], mean_w=[1249, 950])
    assert found["mean_w"] == ["1249.0 W", "950.0 W"]


def test_a_single_figure_is_in_kwh_from_1000_wh_on(mapper):
    panel = panel_of("energy-live", "Energy in the window")
    jobs = [{"stat": panel, "frames": [frame(Time=[1], energy=[wh])]} for wh in (3, 950, 12345)]
    shown = [found["text"] for (found,) in grafana_mapper.run(mapper, jobs)]
    assert shown == ["3.0 Wh", "950.0 Wh", "12.3 kWh"]


NAMING = [
    (uid, panel)
    for uid, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] in ("table", "barchart")
]


@pytest.mark.parametrize(("uid", "panel"), NAMING, ids=[f"{uid}:{panel['title']}" for uid, panel in NAMING])
def test_names_that_look_like_numbers_stay_as_written(mapper, uid, panel):
    """Of steps, servers, scenarios; of commits too."""
    named = dict.fromkeys(("step", "server", "scenario", "commit", "run_id"), NAMES)
    job = {"panel": panel, "frames": [frame(**named, energy_wh=[3, 2, 1])]}
    ((found,),) = grafana_mapper.run(mapper, [job])
    shown = [column["texts"] for column in found["columns"] if column["type"] == "string"]
    assert shown
    assert all(sorted(texts) == sorted(NAMES) for texts in shown)
