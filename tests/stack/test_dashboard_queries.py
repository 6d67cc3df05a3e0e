"""Every query of every dashboard on a real InfluxDB: accepted, non-empty, with the columns panels use."""

from __future__ import annotations

import re

import pytest

from dashboards.influxql import MEASURABLE
from energyrecorder import schema
from grafana_data import DAY_MS, ODD, SERVERS, STEPS, demo_lines, now_ms
from grafana_queries import dashboards, interpolated, queries

BOARDS = dashboards()
DATABASE = "dashboards"
RANGES = {"1h": DAY_MS // 24, "24h": DAY_MS, "30d": 30 * DAY_MS}
CHOICES = {
    "all": {},
    "odd": {
        "env": "pod1",
        "scenario": ODD,
        "step": STEPS[1],
        "server": "box/1",
        "run": ["run-57", "run-97", "run-1"],
    },
    "many": {"env": ["pod1", "pod2"], "scenario": ["functest", ODD], "group_by": "server"},
    "meter": {"reading": "/^meter:/"},
}
# Needs more than the choice offers: a step that runs now, or a lost one in the last hours.
MAY_BE_EMPTY = {"Lost and failed steps/A", "Running/A", "Lost steps/A", "Steps without a result yet/A"}


@pytest.fixture(scope="module")
def filled(influxd):
    now = now_ms()
    influxd.fill(DATABASE, demo_lines(now))
    return influxd, now


def window(board, now, length_ms):
    if board["timezone"] == "utc":
        return 0, 30 * 60_000
    return now - length_ms, now


def ask(influxd, board, query, now, length_ms, values=None):
    from_ms, to_ms = window(board, now, length_ms)
    return influxd.query(interpolated(query, board, from_ms, to_ms, values), DATABASE)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("length", RANGES)
@pytest.mark.parametrize("uid", BOARDS)
def test_every_query_has_an_answer(filled, uid, length, choice):
    """Whatever the window, and with names that need escaping."""
    influxd, now = filled
    board = BOARDS[uid]
    empty = []
    for where, _, query in queries(board):
        found = ask(influxd, board, query, now, RANGES[length], CHOICES[choice])
        rows = [row for series in found for row in series.get("values", ())]
        if not rows:
            empty.append(where)
    allowed = set(MAY_BE_EMPTY)
    if length == "1h" and choice == "odd":
        # The scenario's one finished run of the last hour failed: it has no baseline either.
        allowed |= {f"Energy per run/{letter}" for letter in "ADEF"}
    assert set(empty) <= allowed


@pytest.mark.parametrize("uid", BOARDS)
def test_an_empty_database_gives_no_error(influxd, uid):
    """Before the first reading and the first step panels are empty, not broken."""
    influxd.query('CREATE DATABASE "empty"')
    board = BOARDS[uid]
    for _, _, query in queries(board):
        assert influxd.query(interpolated(query, board, 0, DAY_MS), "empty") == []


def columns(series):
    """Return the columns as Grafana's table frames name them, and whether each holds numbers."""
    found = dict.fromkeys(series.get("tags", {}), False)
    for index, name in enumerate(series["columns"]):
        values = [row[index] for row in series["values"] if row[index] is not None]
        found["Time" if name == "time" else name] = all(isinstance(value, int | float) for value in values)
    return found


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_use_columns_that_their_queries_have(filled, uid):
    """Overrides, transformations, axes and links name columns of the answer; units stand at numbers."""
    influxd, now = filled
    board = BOARDS[uid]
    for panel in board["panels"]:
        found = {}
        for target in panel["targets"]:
            if target["resultFormat"] == "table":
                for series in ask(influxd, board, target["query"], now, 30 * DAY_MS):
                    found |= columns(series)
        if not found:
            continue
        made = [step["options"].get("alias") for step in panel.get("transformations", ())]
        found |= dict.fromkeys(made, True)
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["id"] != "byName" or override["matcher"]["options"] == "total":
                continue
            name = override["matcher"]["options"]
            assert name in found, (panel["title"], name, sorted(found))
            properties = {entry["id"]: entry["value"] for entry in override["properties"]}
            if properties.get("unit", "string") not in ("string", "none"):
                assert found[name], (panel["title"], name)
            for link in properties.get("links", ()):
                for used in link["url"].split('__data.fields["')[1:]:
                    assert used.partition('"')[0] in found, (panel["title"], used)
        options = panel["options"]
        named = [options[key] for key in ("xField", "colorByField") if key in options]
        assert set(named).union(options.get("fields", {}).values()) <= found.keys(), panel["title"]
        shown = options.get("reduceOptions", {}).get("fields", "")
        assert not shown or shown.strip("/^$") in found, (panel["title"], shown)


# Those that scale themselves would not show rows in one unit.
UNITS = {unit.lower(): f"suffix:{unit}" for unit in ("W", "Wh", "kWh", "kJ", "g")}
UNITS |= {"s": "dthms", "ms": "ms", "pct": "percent"}
WITH_UNIT = re.compile(rf"\w+_({'|'.join(UNITS)})|watts")


@pytest.mark.parametrize("uid", BOARDS)
def test_every_column_with_a_unit_shows_it(filled, uid):
    """The unit stands last in a column's name; each table says it for each."""
    influxd, now = filled
    board = BOARDS[uid]
    for panel in board["panels"]:
        if panel["type"] != "table":
            continue
        said = {
            override["matcher"]["options"]: entry["value"]
            for override in panel["fieldConfig"]["overrides"]
            for entry in override["properties"]
            if entry["id"] == "unit"
        }
        for target in panel["targets"]:
            for series in ask(influxd, board, target["query"], now, 30 * DAY_MS):
                for name in filter(WITH_UNIT.fullmatch, series["columns"]):
                    whole = panel["fieldConfig"]["defaults"]["unit"]
                    wanted = UNITS[name.rpartition("_")[2] if "_" in name else "w"]
                    assert said.get(name, whole) == wanted, (panel["title"], name)


def test_regions_are_those_of_the_window(filled):
    """A step that contains the window is there, its neighbours are not; scenarios lie below."""
    influxd, now = filled
    board = BOARDS["energy-live"]
    layers = [layer for layer in board["annotations"]["list"] if "target" in layer]
    assert [layer["name"] for layer in layers][:2] == ["Scenarios", "Steps"]
    begin = now - 25 * 60_000
    # Inside the second step, which began two minutes after the run.
    inside = (begin + 2 * 60_000 + 20_000, begin + 2 * 60_000 + 40_000)
    scenario, step = (
        influxd.query(
            interpolated(layer["target"]["query"], board, *inside, {"scenario": "functest"}), DATABASE
        )
        for layer in layers[:2]
    )
    (scenario,), (step,) = scenario, step
    assert scenario["columns"] == ["time", "title", "text", "tags", "timeEnd"]
    assert step["columns"] == ["time", "title", "text", "tags", "timeEnd", "newState"]
    assert [row[1] for row in scenario["values"]] == ["functest"]
    assert [row[1] for row in step["values"]] == [STEPS[1]]
    assert step["values"][0][4] == begin + 4 * 60_000
    exact = (begin + 2 * 60_000, begin + 4 * 60_000)
    query = interpolated(layers[1]["target"]["query"], board, *exact, {"scenario": "functest"})
    assert [row[1] for row in influxd.query(query, DATABASE)[0]["values"]] == [STEPS[1]]


@pytest.mark.parametrize(("tag", "groups"), [("env", {"pod1"}), ("rack", {"r1"}), ("server", set(SERVERS))])
def test_energy_by_groups_adds_up_to_that_of_all(filled, tag, groups):
    """Per day it is that divided by the days, and carbon and cost follow the factors."""
    influxd, now = filled
    board = BOARDS["energy-fleet"]
    asked = {where: query for where, _, query in queries(board)}
    (parts,) = ask(influxd, board, asked["Energy in the window/A"], now, 2 * DAY_MS)
    whole_wh = sum(energy_wh for _, energy_wh in parts["values"])
    found = ask(influxd, board, asked["Energy by ${group_by}/A"], now, 2 * DAY_MS, {"group_by": tag})
    assert {series["tags"][tag] for series in found} == groups
    rows = [dict(zip(series["columns"], row, strict=True)) for series in found for row in series["values"]]
    assert sum(row["energy_kwh"] for row in rows) == pytest.approx(whole_wh / 1000)
    for row in rows:
        per_day, co2_g, cost = (row["energy_kwh"] * factor for factor in (0.5, 400, 0.25))
        assert (row["per_day_kwh"], row["co2_g"], row["cost"]) == pytest.approx((per_day, co2_g, cost))


def test_the_page_of_a_run_shows_the_bands_of_this_run_alone(filled):
    """Runs of other scenarios lie in the same days."""
    influxd, now = filled
    board = BOARDS["energy-run"]
    for where, _, query in queries(board):
        if where in ("annotation Scenarios", "annotation Steps"):
            others, run = (
                sum(len(series["values"]) for series in ask(influxd, board, query, now, DAY_MS, values))
                for values in ({}, {"run": "run-98"})
            )
            assert 0 < run < others, where


def test_totals_count_each_server_once(filled):
    """Power supplies and meters are not added to the BMC's figure."""
    influxd, now = filled
    board = BOARDS["energy-live"]
    query = next(query for where, _, query in queries(board) if where == "Power now/A")
    ((series,),) = (ask(influxd, board, query, now, DAY_MS),)
    assert 3 * 215 < series["values"][0][1] < 3 * 300


@pytest.mark.parametrize(
    ("uid", "title"), [("energy-live", "Results"), ("energy-run", "Steps"), ("energy-run", "Per server")]
)
def test_unresolvable_energy_is_never_a_number(filled, uid, title):
    """The rows are there, with their quality, but no column of energy."""
    influxd, now = filled
    board = BOARDS[uid]
    panel = next(panel for panel in board["panels"] if panel["title"] == title)
    good, other = (ask(influxd, board, t["query"], now, DAY_MS)[0] for t in panel["targets"])
    assert "energy_wh" in good["columns"]
    assert not {"energy_wh", "u95_wh", "avg_w", "max_w"} & set(other["columns"])
    kinds = {row[other["columns"].index("quality")] for row in other["values"]}
    assert "unresolvable" in kinds
    assert kinds.isdisjoint({"resolved", "coarse"})


@pytest.mark.parametrize("uid", BOARDS)
def test_every_figure_of_energy_is_of_steps_that_could_be_resolved(uid):
    """Wherever a panel reads energy or power of steps it leaves the others out."""
    figures = {"energy_wh", "energy_j", "u95_j", "avg_w", "max_w", "net_j"}
    for where, _, query in queries(BOARDS[uid]):
        steps = any(f'FROM "{name}"' in query for name in (schema.ENERGY_STEPS, schema.ENERGY_STEP_SERVERS))
        if steps and figures & set(re.findall(r'"(\w+)"', query.partition("WHERE")[0])):
            assert MEASURABLE in query, where
