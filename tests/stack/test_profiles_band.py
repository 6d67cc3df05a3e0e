"""The band of *Run comparison*: profiles as the annotator writes them, through a real InfluxDB."""

from __future__ import annotations

import pytest

from energyrecorder import schema
from energyrecorder_annotator.sinks.profile import total_power
from grafana_queries import dashboards, interpolated

BOARD = dashboards()["energy-compare"]
PANEL = next(panel for panel in BOARD["panels"] if panel["title"] == "Profiles")
DATABASE = "band"
SECOND = 10**9
MINUTE_MS = 60_000
# Power of one server at each second of a minute: steady, with a peak and a dip of a second, and higher.
RUNS = {
    "steady": [100.0 + second % 2 for second in range(60)],
    "uneven": [{35: 250.0, 55: 40.0}.get(second, 100.0) for second in range(60)],
    "candidate": [180.0] * 60,
}


def lines():
    """Yield the profiles of these runs; each second has one reading."""
    for run, watts in RUNS.items():
        curve = [(second * SECOND, one, one, one) for second, one in enumerate(watts)]
        for moment in total_power([curve], 0, 60 * SECOND):
            fields = {"watts": moment.watts, "min_w": moment.min_w, "max_w": moment.max_w}
            tags = {"env": "pod1", "scenario": "functest", "run": run}
            yield schema.measurement(schema.ENERGY_RUN_PROFILE).line(tags, fields, moment.t_ns)


@pytest.fixture(scope="module")
def filled(influxd):
    influxd.fill(DATABASE, lines())
    return influxd


def shown(influxd, **values):
    """Return the curves by what the panel calls them, as {second: W}."""
    found = {}
    for target in PANEL["targets"]:
        query = interpolated(
            target["query"], BOARD, 0, MINUTE_MS, {"scenario": "functest", **values}, points=6
        )
        for series in influxd.query(query, DATABASE):
            name = target["alias"].replace("$tag_run", series.get("tags", {}).get("run", ""))
            found[name] = {time_ns // SECOND: watts for time_ns, watts in series["values"]}
    return found


def test_the_band_is_the_range_of_the_runs_that_were_chosen_for_it(filled):
    """In intervals of 10 s: of both runs, of one alone."""
    both = shown(filled, run="candidate", band=["steady", "uneven"])
    assert both.keys() == {"candidate", "least", "greatest"}
    assert both["least"] == {0: 100.0, 10: 100.0, 20: 100.0, 30: 100.0, 40: 100.0, 50: 40.0}
    assert both["greatest"] == {0: 101.0, 10: 101.0, 20: 101.0, 30: 250.0, 40: 101.0, 50: 101.0}
    assert set(shown(filled, run="candidate", band="steady")["greatest"].values()) == {101.0}
    assert set(both["candidate"].values()) == {180.0}


def test_no_run_is_outside_of_its_own_band(filled):
    for run in RUNS:
        curves = shown(filled, run=run, band=run)
        for second, watts in curves[run].items():
            assert curves["least"][second] <= watts <= curves["greatest"][second]


def test_the_panel_fills_between_the_two(filled):
    """Grafana finds the lower edge by its name; the band itself has no lines."""
    properties = {
        override["matcher"]["options"]: {entry["id"]: entry["value"] for entry in override["properties"]}
        for override in PANEL["fieldConfig"]["overrides"]
    }
    assert properties["greatest"]["custom.fillBelowTo"] == "least"
    assert {"least", "greatest"} < shown(filled).keys()
    assert properties["least"]["custom.lineWidth"] == properties["greatest"]["custom.lineWidth"] == 0
