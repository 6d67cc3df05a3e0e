"""Grafana's own published mapper on answers of a real InfluxDB: regions, colours, columns of tables."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from energyrecorder import schema
from grafana_data import DAY_MS, MINUTE_MS, demo_lines, now_ms
from grafana_queries import dashboards, interpolated, interval_ms, queries
from support import grafana_mapper

BOARDS = dashboards()
MOST_BESIDE_OTHERS = 10
DATABASE = "mapper"
DEMO = "mapper_demo"
NOW = 1_800_000_000_000
HTML = 'VNF <b>up</b> <a href="https://ci.example/7" target="_blank">CI</a>'
# The colours of the theme that the mapper gives, and those it takes from `newState`.
COLOURS = {"passed": "green", "failed": "red", "running": "yellow", "aborted": "gray", "lost": "gray"}
# (step or None, begin and end in minutes from NOW, state)
STEPS = [
    (None, -3 * 24 * 60, 10, "running"),
    ("three days", -3 * 24 * 60, 9, "passed"),
    ("before", -120, -60, "passed"),
    ("overlapping", -50, -20, "failed"),
    ("within it", -40, -30, "passed"),
    ("given up", -15, -12, "aborted"),
    ("never stopped", -12, -9, "lost"),
    ("runs now", -5, 0, "running"),
    ("after", 60, 70, "passed"),
]


def lines():
    """Yield the steps above as the annotator writes them."""
    measurement = schema.measurement(schema.ENERGY_STEPS)
    for number, (step, begin, end, state) in enumerate(STEPS):
        level = "scenario" if step is None else "step"
        tags = {"env": "pod1", "scenario": "functest", "step": step, "level": level}
        fields = {"run_id": "r", "step_id": f"r-{number}", "title": step or "functest", "text": HTML}
        fields |= {"tags": "energy,functest", "state": state, "newState": schema.GRAFANA_STATES[state]}
        fields |= {"quality": "pending", "time_end": NOW + end * MINUTE_MS}
        fields |= {} if state == "running" else {"duration_s": (end - begin) * 60.0}
        yield measurement.line(tags, fields, (NOW + begin * MINUTE_MS) * 10**6)


@pytest.fixture(scope="module")
def steps(influxd):
    influxd.fill(DATABASE, lines())
    return influxd


@pytest.fixture(scope="module")
def demo(influxd):
    now = now_ms()
    influxd.fill(DEMO, demo_lines(now))
    return influxd, now


def layer_of(name):
    return next(one for one in BOARDS["energy-live"]["annotations"]["list"] if one["name"] == name)


def events(mapper, influxd, layer, window=(-60, 5)):
    """Return the annotations of a layer as Grafana would draw them, in minutes from NOW."""
    begin, end = (NOW + minutes * MINUTE_MS for minutes in window)
    query = interpolated(layer["target"]["query"], BOARDS["energy-live"], begin, end)
    frames = grafana_mapper.table_frame(influxd.query(query, DATABASE), "Anno")
    (found,) = grafana_mapper.run(mapper, [{"layer": layer, "frames": frames}])
    return found


def minutes(ms):
    return (ms - NOW) / MINUTE_MS


def test_steps_are_regions_in_the_colour_of_their_state(mapper, steps):
    """Running, long and overlapping ones too; who begins later is drawn later, so it lies on top."""
    found = events(mapper, steps, layer_of("Steps"))
    drawn = [(one["title"], minutes(one["time"]), minutes(one["timeEnd"]), one["color"]) for one in found]
    inside = [step for step in STEPS if step[0] not in (None, "before", "after")]
    assert drawn == [(step, begin, end, COLOURS[state]) for step, begin, end, state in inside]
    assert all(one["isRegion"] for one in found)
    assert {one["text"] for one in found} == {HTML}
    assert all(one["tags"] == ["energy", "functest"] for one in found)


def test_the_neighbours_of_a_window_are_not_in_it(mapper, steps):
    """Zoomed exactly to a step: itself and what contains or overlaps it."""
    found = events(mapper, steps, layer_of("Steps"), (-15, -12))
    assert [one["title"] for one in found] == ["three days", "given up"]


def test_a_running_scenario_does_not_paint_all_yellow(mapper, steps):
    """Its colour is the layer's, its region has the true times."""
    (found,) = events(mapper, steps, layer_of("Scenarios"))
    assert found["isRegion"]
    assert (minutes(found["time"]), minutes(found["timeEnd"])) == (-3 * 24 * 60, 10)
    assert "newState" not in found
    assert found["color"] not in COLOURS.values()


def test_from_afar_short_steps_are_left_out_unless_they_went_wrong_or_run(mapper, steps):
    """In eight days those of more than 11.5 min have a width that can be seen."""
    found = events(mapper, steps, layer_of("Steps"), (-8 * 24 * 60, 5))
    seen = {"three days", "before", "overlapping", "given up", "never stopped", "runs now"}
    assert {one["title"] for one in found} == seen


def test_an_unmapped_end_would_be_seen_here(mapper, steps):
    """The test can fail: without the end's column Grafana draws points."""
    layer = layer_of("Steps")
    broken = {**layer, "mappings": {**layer["mappings"], "timeEnd": {"source": "field", "value": "nobody"}}}
    assert not any(one["isRegion"] for one in events(mapper, steps, broken))


@pytest.mark.parametrize(
    "uid", [uid for uid, board in BOARDS.items() if len(board["annotations"]["list"]) > 1]
)
def test_every_layer_of_every_dashboard_gives_regions_or_marks(mapper, demo, uid):
    """On the demo data: each annotation has a time, a title and a text; steps have an end."""
    influxd, now = demo
    layers = [layer for layer in BOARDS[uid]["annotations"]["list"] if "target" in layer]
    jobs = []
    for layer in layers:
        query = interpolated(layer["target"]["query"], BOARDS[uid], now - DAY_MS, now)
        frames = grafana_mapper.table_frame(influxd.query(query, DEMO), "Anno")
        jobs.append({"layer": layer, "frames": frames})
    for layer, found in zip(layers, grafana_mapper.run(mapper, jobs), strict=True):
        assert found, layer["name"]
        assert all(one["time"] and one["title"] and one["text"] for one in found), layer["name"]
        assert all(one["isRegion"] == ("time_end" in layer["target"]["query"]) for one in found), layer[
            "name"
        ]


def shown(mapper, demo, uid, database=DEMO):
    """Yield each panel of tables with the frames that it shows on the demo data, or those of a database."""
    influxd, now = demo
    board = BOARDS[uid]
    panels = [panel for panel in board["panels"] if panel["targets"][0]["resultFormat"] == "table"]
    window = (0, 30 * MINUTE_MS) if board["timezone"] == "utc" else (now - 30 * DAY_MS, now)
    jobs = []
    for panel in panels:
        frames = []
        for target in panel["targets"]:
            series = influxd.query(interpolated(target["query"], board, *window), database)
            frames += grafana_mapper.table_frame(series, target["refId"])
        jobs.append({"panel": panel, "frames": frames})
    return zip(panels, grafana_mapper.run(mapper, jobs), strict=True)


@pytest.mark.parametrize("uid", BOARDS)
def test_tables_have_the_columns_that_overrides_and_sorting_name(mapper, demo, uid):
    """After Grafana's own merging, joining and turning: no title twice, each override finds its column."""
    for panel, frames in shown(mapper, demo, uid):
        assert len(frames) == 1, panel["title"]
        names = [column["name"] for column in frames[0]["columns"]]
        assert len(set(names)) == len(names), (panel["title"], names)
        for override, matched in zip(panel["fieldConfig"]["overrides"], frames[0]["overrides"], strict=True):
            if override["matcher"] != {"id": "byName", "options": "total"}:
                assert matched, (panel["title"], override["matcher"], names)
        # What sorts before the last step sorts columns that may be gone.
        for step in panel.get("transformations", ())[-1:]:
            for sort in step["options"].get("sort", ()):
                assert sort["field"] in names, (panel["title"], sort["field"], names)


@pytest.mark.parametrize("uid", BOARDS)
def test_a_table_of_many_columns_has_the_whole_width(mapper, demo, uid):
    """Of narrower ones columns were cut off (seen in a real Grafana)."""
    for panel, frames in shown(mapper, demo, uid):
        overrides = panel["fieldConfig"]["overrides"]
        hidden = [one for one in overrides if {"id": "custom.hidden", "value": True} in one["properties"]]
        columns = max(len(frame["columns"]) for frame in frames) - len(hidden)
        if panel["type"] == "table" and columns > MOST_BESIDE_OTHERS:
            assert panel["gridPos"]["w"] == 24, (panel["title"], columns)


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_without_an_answer_stay_without_a_figure(mapper, demo, uid):
    """Before the first reading or step, whether Grafana gets no frame or one without columns."""
    panels = [panel for panel in BOARDS[uid]["panels"] if panel["targets"][0]["resultFormat"] == "table"]
    for frames in ([], [{"name": "", "refId": "A", "fields": []}]):
        found = grafana_mapper.run(mapper, [{"panel": panel, "frames": frames} for panel in panels])
        for panel, made in zip(panels, found, strict=True):
            assert not any(column["values"] for frame in made for column in frame["columns"]), panel["title"]


@pytest.mark.parametrize("uid", BOARDS)
def test_a_part_that_is_missing_makes_up_no_figure(mapper, demo, uid):
    """Only the first query of a panel has an answer: what is made of the others is empty."""
    influxd, now = demo
    board = BOARDS[uid]
    several = [
        panel
        for panel in board["panels"]
        if panel["targets"][0]["resultFormat"] == "table" and len(panel["targets"]) > 1
    ]
    jobs = []
    for panel in several:
        series = influxd.query(interpolated(panel["targets"][0]["query"], board, now - DAY_MS, now), DEMO)
        jobs.append({"panel": panel, "frames": grafana_mapper.table_frame(series, "A")})
    for panel, (frame,) in zip(several, grafana_mapper.run(mapper, jobs), strict=True):
        answered = {
            name for one in jobs[several.index(panel)]["frames"][0]["fields"] for name in [one["name"]]
        }
        made = [column for column in frame["columns"] if column["name"] not in answered]
        assert not any(value is not None for column in made for value in column["values"]), panel["title"]


def test_runs_stand_side_by_side_under_their_names(mapper, demo):
    """A row per step, a column per run, and what is not known is empty."""
    found = {panel["title"]: frames for panel, frames in shown(mapper, demo, "energy-compare")}
    step, *runs = found["Energy per step, side by side"][0]["columns"]
    assert len(step["values"]) == len(set(step["values"])) > 1
    assert {"run-98", "run-0"} <= {column["name"] for column in runs}
    assert {column["type"] for column in runs} == {"number"}
    assert all(len(column["values"]) == len(step["values"]) for column in runs)


def test_a_run_is_held_against_its_baseline_in_its_row(mapper, demo):
    """No run has two rows; only measured ones that have a baseline are compared, the others show a dash."""
    found = {panel["title"]: frames for panel, frames in shown(mapper, demo, "energy-trend")}
    columns = {column["name"]: column for column in found["Runs"][0]["columns"]}
    assert len(set(columns["Time"]["values"])) == len(columns["Time"]["values"])
    rows = list(
        zip(*(columns[name]["texts"] for name in ("state", "change_pct", "low_pct", "high_pct")), strict=True)
    )
    # 104 Wh against 100, of which 97 to 103 are usual.
    assert rows.count(("passed", "4.0%", "-3.0%", "3.0%")) > 10
    others = {row for row in rows if row[1] != "4.0%"}
    assert others == {(state, *["\N{EN DASH}"] * 3) for state in ("passed", "failed", "lost", "running")}


@pytest.mark.parametrize("title", ["Power ranking of scenarios", "Scenarios", "Steps and VNFs"])
def test_a_ranking_begins_with_the_highest(mapper, title):
    """InfluxDB answers by name."""
    panel = next(panel for panel in BOARDS["energy-trend"]["panels"] if panel["title"] == title)
    values = {"name": "mean_w", "type": "number", "values": [100, 300, 200], "config": {}}
    ((found,),) = grafana_mapper.run(
        mapper, [{"panel": panel, "frames": [{"refId": "A", "fields": [values]}]}]
    )
    assert found["columns"][0]["values"] == [300, 200, 100]


ODD_STEPS = ("R&D", "issue #7", "50% load", "a%26b", "1+1 = 2?", "vm up/down [3]")
CI_URL = "https://ci.example/job/lab/job/feature%252Fpower/7/"


@pytest.fixture(scope="module")
def odd(influxd):
    """Steps whose names mean something in an address."""
    now = now_ms()
    measurement = schema.measurement(schema.ENERGY_STEPS)
    tags = {"env": "pod1", "scenario": "s", "level": "step"}
    fields = {"state": "passed", "quality": "resolved", "energy_wh": 1.0, "run_id": "r", "ci_url": CI_URL}
    fields["time_end"] = now - MINUTE_MS
    lines = [measurement.line({**tags, "step": name}, fields, (now - DAY_MS) * 10**6) for name in ODD_STEPS]
    influxd.fill("odd", lines)
    return influxd, now


def links_of(mapper, odd, uid, title, column):
    """Return the addresses of a column of a table as Grafana makes them."""
    found = {panel["title"]: frames for panel, frames in shown(mapper, odd, uid, "odd")}
    (cells,) = (one for one in found[title][0]["columns"] if one["name"] == column)
    return cells["values"], [link for (link,) in cells["links"]]


def test_the_name_of_a_step_leads_to_its_boxes(mapper, odd):
    """Whatever is in it, although Grafana decodes addresses before it follows them."""
    steps, links = links_of(mapper, odd, "energy-trend", "Spread of energy per step", "step")
    assert [parse_qs(urlsplit(link).query)["var-step"] for link in links] == [[step] for step in steps]
    assert set(steps) == set(ODD_STEPS)


@pytest.mark.parametrize(("uid", "title"), [("energy-live", "Results"), ("energy-run", "Steps")])
def test_links_to_ci_and_to_a_step_are_as_written(mapper, odd, uid, title):
    """Jenkins encodes the slash of a branch twice; the variables of a link are still to be filled in."""
    _, links = links_of(mapper, odd, uid, title, "ci_url")
    assert {link.partition("#")[0] for link in links} == {CI_URL}
    _, links = links_of(mapper, odd, uid, title, "step")
    assert {urlsplit(link).path for link in links} == {f"/d/{uid}"}
    asked = [parse_qs(urlsplit(link).query)[key] for link in links for key in ("from", "to", "var-run")]
    assert asked == [[str(odd[1] - DAY_MS)], [str(odd[1] - MINUTE_MS)], ["r"]] * len(ODD_STEPS)


@pytest.mark.parametrize("uid", BOARDS)
def test_tables_are_grouped_by_one_tag_at_most(uid):
    """With two the data source writes values of one under the name of the other, by chance (read in 13)."""
    for where, kind, query in queries(BOARDS[uid]):
        if kind == "table":
            outermost = query.rpartition(")")[2] if query.count("(SELECT") else query
            assert outermost.partition("GROUP BY")[2].count('"') <= 2, where


def test_intervals_are_rounded_as_grafana_does(mapper):
    """So that the speed of queries is measured on the grid that panels ask for."""
    jobs = [
        {"length_ms": hours * 3_600_000, "points": points, "least_ms": least_ms}
        for hours in (1, 6, 24, 24 * 7, 24 * 30)
        for points in (4, 30, 40, 100, 500, 1000)
        for least_ms in (10_000, 60_000)
    ]
    assert grafana_mapper.run(mapper, jobs) == [interval_ms(**job) for job in jobs]
