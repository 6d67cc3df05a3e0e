"""Rules for the committed dashboards, most of them learnt in a real Grafana."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from dashboards.__main__ import built
from dashboards.influxql import FROM_TELEGRAF
from energyrecorder import schema
from grafana_queries import DASHBOARDS, dashboards, queries

BOARDS = dashboards()
CORE = {
    "barchart",
    "candlestick",
    "histogram",
    "stat",
    "state-timeline",
    "status-history",
    "table",
    "timeseries",
    "xychart",
}
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"]]
IDS = [f"{uid}:{panel['title']}" for uid, panel in PANELS]


def texts(value):
    """Yield every text in a JSON value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def test_the_committed_files_are_what_the_builders_make():
    """Otherwise: make dashboards."""
    files = DASHBOARDS.rglob("*.json")
    committed = {str(path.relative_to(DASHBOARDS)): path.read_text(encoding="utf-8") for path in files}
    assert committed == built()


def test_there_are_six_with_unique_uids_and_titles():
    assert len(BOARDS) == 6
    assert len({board["uid"] for board in BOARDS.values()}) == 6
    assert {board["title"] for board in BOARDS.values()} == {
        "Live power & steps",
        "Run detail",
        "Scenario trend",
        "Run comparison",
        "Fleet",
        "Collector & annotator health",
    }


@pytest.mark.parametrize("uid", BOARDS)
def test_the_frame(uid):
    """Classic model of schema 39, no ids or inputs of an export, read-only, all linked by their tag."""
    board = BOARDS[uid]
    assert board["uid"] == uid
    assert board["id"] is None
    assert board["schemaVersion"] == 39
    assert board["editable"] is False
    assert "__inputs" not in board
    assert "fromAnnotations" not in json.dumps(board)
    assert board["tags"] == ["energy"]
    assert board["links"][0]["tags"] == ["energy"]
    assert board["links"][0]["keepTime"] is False
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=IDS)
def test_sides_of_the_power_supplies_are_marked(uid, panel):
    """Wherever a table names them: `mixed` has a colour of its own."""
    if panel["type"] != "table" or not any('"side"' in target["query"] for target in panel["targets"]):
        return
    overrides = {one["matcher"]["options"]: one["properties"] for one in panel["fieldConfig"]["overrides"]}
    (mapped,) = (entry["value"] for entry in overrides["side"] if entry["id"] == "mappings")
    shown = {text: one["color"] for text, one in mapped[0]["options"].items()}
    assert shown["mixed"] not in {colour for text, colour in shown.items() if text != "mixed"}


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=IDS)
def test_carbon_and_cost_stand_beside_their_factors(uid, panel):
    """In the title of the panel or of the column; a cost also has its currency."""
    shown = " ".join((panel["title"], *texts(panel["fieldConfig"])))
    queried = " ".join(target["query"] for target in panel["targets"])
    for factor, *more in (("$co2_g_per_kwh",), ("$price_per_kwh", "$currency")):
        assert factor not in queried or all(name in shown for name in (factor, *more))


@pytest.mark.parametrize("uid", ["energy-live", "energy-run", "energy-health"])
def test_links_to_the_annotators_page(uid):
    """By an address that the user sees and may change."""
    (link,) = (one for one in BOARDS[uid]["links"] if one["type"] == "link")
    (variable,) = (one for one in BOARDS[uid]["templating"]["list"] if one["name"] == "annotator")
    assert link["url"] == "$annotator/"
    assert variable["query"].startswith("http://")


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_do_not_overlap(uid):
    places = [panel["gridPos"] for panel in BOARDS[uid]["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in itertools.combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=IDS)
def test_a_panel(uid, panel):
    """Core type, title, formula, unit, targets with the data source variable and unique letters."""
    assert panel["type"] in CORE
    assert panel["title"]
    assert len(panel["description"]) > 25
    assert panel["description"].rstrip().endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for target in (panel, *panel["targets"]):
        assert target["datasource"] == {"type": "influxdb", "uid": "${datasource}"}
    assert all(target["rawQuery"] and target["query"] for target in panel["targets"])


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=IDS)
def test_links_and_overrides(uid, panel):
    """Times in links are numbers, tables show a dash for what is missing and are not painted green."""
    for text in texts(panel):
        for found in re.findall(r"(?:from|to)=([^&]*)", text):
            assert found.endswith(".numeric}"), text
        for other in re.findall(r"/d/([\w-]+)", text):
            assert other in BOARDS
    if panel["type"] == "table":
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["noValue"] == "\N{EN DASH}"
        assert defaults["thresholds"]["steps"] == [{"color": "transparent", "value": None}]
    for override in panel["fieldConfig"]["overrides"]:
        keys = {entry["id"] for entry in override["properties"]}
        assert ("custom.displayMode" in keys) == ("custom.cellOptions" in keys)
        for entry in override["properties"]:
            if entry["id"] == "unit":
                assert entry["value"] != "dtdurations", "2.5 h would show as 2 hours"


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=IDS)
def test_energy_scales_itself_in_single_figures_alone(uid, panel):
    """Rows, bars and points are compared: 950 Wh above 1.2 kWh misleads. A figure is kWh from 1,000 Wh on."""
    units = {text for text in texts(panel["fieldConfig"]) if text in ("watth", "kwatth", "massg", "joule")}
    assert panel["type"] == "stat" or not units
    assert panel["type"] != "stat" or "suffix:" not in panel["fieldConfig"]["defaults"]["unit"]


# Texts, and a mean over all polls, which is none of the means of its intervals.
WITHOUT_SPARKLINE = {"Running", "State", "Quality", "Polls that gave a reading"}


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=IDS)
def test_a_figure_has_a_sparkline_and_says_what_it_shows(uid, panel):
    """Except where it would make another figure."""
    if panel["type"] == "stat":
        drawn = panel["options"]["graphMode"] == "area"
        assert drawn == (panel["title"] not in WITHOUT_SPARKLINE)
        assert drawn == (" Sparkline: " in panel["description"])
        # A change may be below 0.
        from_zero = drawn and panel["title"] != "Δ baseline"
        assert panel["fieldConfig"]["defaults"].get("min") == (0 if from_zero else None)


@pytest.mark.parametrize("uid", BOARDS)
def test_queries(uid):
    """Bounded in time or in number, strict bounds with look-back for steps, totals only, no integral."""
    board = BOARDS[uid]
    names = {variable["name"] for variable in board["templating"]["list"]}
    builtin = {"timeFilter", "__interval", "__interval_ms", "__from", "__to"}
    for where, _, query in queries(board):
        used = {a or b for a, b in re.findall(r"\$\{(\w+)[^}]*\}|\$(\w+)", query)}
        assert used <= names | builtin, (where, used)
        assert "integral(" not in query.lower(), where
        assert "$$" not in query
        if where.startswith("variable"):
            continue
        bounded = "$timeFilter" in query or "${__from}" in query or "${__to}" in query
        assert bounded or "LIMIT" in query or uid == "energy-compare", where
        if 'time_end" >' in query and "running" not in query:
            assert "time >= ${__from}ms - $lookback" in query, where
            assert "time < ${__to}ms" in query, where
        for measurement in FROM_TELEGRAF:
            assert f'FROM "{measurement}"' not in query, where
        if f'FROM ${{store}}{schema.SERVER_POWER}"' in query:
            assert "\"scope\" = 'server'" in query, where
            assert '"part" =~ $reading' in query, where


@pytest.mark.parametrize("uid", [uid for uid, board in BOARDS.items() if len(board["annotations"]["list"])])
def test_layers(uid):
    """The order decides who is painted and hovered: scenario first and uncoloured, then steps, then marks."""
    layers = BOARDS[uid]["annotations"]["list"]
    assert layers[0]["builtIn"] == 1
    assert [layer["name"] for layer in layers[1:3]] == ["Scenarios", "Steps"]
    assert "newState" not in layers[1]["target"]["query"]
    assert "newState" in layers[2]["target"]["query"]
    assert any("'power'" in layer["target"]["query"] for layer in layers[3:])
    assert all(layer["target"]["query"].endswith("ORDER BY time DESC LIMIT 1000") for layer in layers[3:])
    for layer in layers[1:]:
        target = layer["target"]
        assert target["resultFormat"] == "table"
        assert target["rawQuery"] is True
        assert layer["mappings"]["timeEnd"] == {"source": "field", "value": "timeEnd"}
    for layer in layers[1:3]:
        assert layer["target"]["query"].endswith("ORDER BY time ASC LIMIT 1000")
        assert '"time_end" AS "timeEnd"' in layer["target"]["query"]


@pytest.mark.parametrize("uid", BOARDS)
def test_variables(uid):
    """A data source first; query variables stay multi-valued, so that values are escaped."""
    first, *others = BOARDS[uid]["templating"]["list"]
    assert (first["type"], first["query"]) == ("datasource", "influxdb")
    for variable in others:
        if variable["type"] == "query":
            assert variable["multi"] is True
            assert variable.get("allValue", ".*") == ".*"
            assert variable["query"] == variable["definition"]
        else:
            assert variable["current"]["value"]
        if variable["type"] == "custom":
            # Grafana takes the choices out of this text: between commas, text and value around " : ".
            pairs = [re.fullmatch(r"\s*(.+)\s:\s(.+)", one) for one in variable["query"].split(",")]
            told = [(option["text"], option["value"]) for option in variable["options"]]
            assert [(pair[1].strip(), pair[2].strip()) for pair in pairs] == told


def test_the_comparison_is_in_1970():
    """ISO with Z alone works for a window at the epoch."""
    board = BOARDS["energy-compare"]
    assert board["timezone"] == "utc"
    assert all(re.fullmatch(r"1970-01-01T\d\d:\d\d:00\.000Z", value) for value in board["time"].values())


def test_a_wrong_name_is_refused_while_building():
    """Column, tag in a condition, measurement."""
    from dashboards.influxql import select, tag_values

    for wrong in (
        lambda: select(["volts"], "server_power"),
        lambda: select(["mean(volts) AS v"], "server_power"),
        lambda: select(["watts"], "server_power", '"step" = 1'),
        lambda: tag_values("energy_steps", "server"),
    ):
        with pytest.raises(ValueError, match="has no"):
            wrong()
    with pytest.raises(KeyError):
        select(["watts"], "servers")
