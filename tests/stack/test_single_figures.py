"""Single figures and their sparklines: answers of a real InfluxDB as Grafana's own code shows them."""

from __future__ import annotations

import pytest

from energyrecorder import schema
from grafana_data import DAY_MS, MINUTE_MS
from grafana_queries import dashboards, interpolated
from support import grafana_mapper

BOARDS = dashboards()
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"]]
DRAWN = [(uid, panel) for uid, panel in PANELS if panel["options"].get("graphMode") == "area"]
DATABASE = "single_figures"
NOW = 1_800_000_000_000
COST = "Cost in $currency at $price_per_kwh per kWh"
LEAST_MS = {"10s": 10_000, "1m": MINUTE_MS}
HOUR_MS = 60 * MINUTE_MS
DASH = "\N{EN DASH}"
# Power of each server, read until so many minutes ago, every so many seconds.
SERVERS = {"steady": (300.0, 0, 20), "late": (200.0, 1, 60), "silent": (100.0, 4, 20)}
# Scenario, end in minutes before NOW, Wh, state, baseline.
RUNS = {
    "first": ("functest", 500, 10.0, "passed", None),
    "other": ("yardstick", 450, 99.0, "passed", 99.0),
    "second": ("functest", 400, 20.0, "failed", 10.0),
    "unknown": ("functest", 300, None, "passed", None),
    "third": ("functest", 200, 1250.0, "passed", 1000.0),
    "last": ("functest", 100, 40.0, "passed", 20.0),
}


def readings():
    """Yield two hours of power and polls of the servers."""
    power, poll = schema.measurement(schema.SERVER_POWER), schema.measurement(schema.SERVER_BMC)
    for server, (watts, silent_min, every_s) in SERVERS.items():
        tags = {"env": "pod1", "server": server}
        for ms in range(NOW - 120 * MINUTE_MS + 5_000, NOW - silent_min * MINUTE_MS, every_s * 1000):
            yield power.line({**tags, "scope": "server"}, {"watts": watts}, ms * 10**6)
            yield poll.line(tags, {"up": int(server != "late"), "error": ""}, ms * 10**6)


def runs():
    """Yield the runs, each of them half an hour long."""
    measurement = schema.measurement(schema.ENERGY_STEPS)
    for run, (scenario, ago_min, energy_wh, state, baseline_wh) in RUNS.items():
        fields = {"run_id": run, "step_id": run, "state": state, "duration_s": 1800.0, "coverage": 1.0}
        fields |= {"quality": "resolved", "energy_wh": energy_wh, "baseline_wh": baseline_wh}
        fields |= {"quality": "unresolvable"} if energy_wh is None else {"u95_j": 3600.0}
        fields["time_end"] = NOW - ago_min * MINUTE_MS
        tags = {"env": "pod1", "scenario": scenario, "level": "scenario"}
        yield measurement.line(tags, fields, (fields["time_end"] - 30 * MINUTE_MS) * 10**6)


@pytest.fixture(scope="module")
def answered(influxd):
    """Return a panel with what InfluxDB answers to it, for a window that ends so long after NOW."""
    influxd.fill(DATABASE, [*readings(), *runs()])

    def of(uid, panel, *, after_ms=0, length_ms=HOUR_MS, **values):
        window = (NOW + after_ms - length_ms, NOW + after_ms)
        frames = []
        for target in panel["targets"]:
            grid = {"points": panel["maxDataPoints"], "least_ms": LEAST_MS[panel.get("interval", "10s")]}
            query = interpolated(target["query"], BOARDS[uid], *window, values, **grid)
            frames += grafana_mapper.table_frame(influxd.query(query, DATABASE), target["refId"])
        return {"stat": panel, "frames": frames}

    return of


@pytest.fixture
def shown(answered, mapper):
    """Return what a figure shows."""

    def of(uid, title, **asked):
        panel = next(panel for panel in BOARDS[uid]["panels"] if panel["title"] == title)
        ((found,),) = grafana_mapper.run(mapper, [answered(uid, panel, **asked)])
        return found

    return of


@pytest.mark.parametrize("uid", ["energy-live", "energy-fleet"])
@pytest.mark.parametrize("length_ms", [5 * MINUTE_MS, HOUR_MS, 30 * DAY_MS])
def test_power_now_is_that_of_the_last_three_full_minutes(shown, uid, length_ms):
    """However long the window is; before it fell silent the third server counted too."""
    found = shown(uid, "Power now", length_ms=length_ms)
    assert found["text"] == "500 W"
    assert found["line"] == [600.0] * 18 + [600.0, 500.0]
    # An axis of time would be the window's.
    assert "times" not in found


def test_power_now_does_not_shrink_with_a_started_interval(shown):
    """A minute later: who is read less often is still counted, none for a part of its time."""
    found = shown("energy-live", "Power now", after_ms=MINUTE_MS)
    assert (found["text"], found["line"][-1]) == ("500 W", 500.0)


def test_without_a_present_reading_there_is_no_present_power(shown):
    """The last one that was known stays in the sparkline, and does not become the figure."""
    found = shown("energy-live", "Power now", after_ms=10 * MINUTE_MS)
    assert found["text"] == DASH
    assert found["line"][-4:] == [500.0, None, None, None]
    assert shown("energy-live", "Power now", after_ms=2 * HOUR_MS)["text"] == DASH


def test_servers_that_are_polled_and_up(shown):
    assert shown("energy-live", "Servers up")["text"] == "1"
    assert shown("energy-live", "Servers polled")["text"] == "2"
    assert shown("energy-live", "Servers polled")["line"] == [3] * 19 + [2]


@pytest.mark.parametrize("uid", ["energy-live", "energy-fleet"])
def test_energy_in_the_window_is_the_sum_of_what_its_sparkline_joins(shown, uid):
    """An hour at 600 W, a server that is read once a minute included."""
    found = shown(uid, "Energy in the window", after_ms=-10 * MINUTE_MS)
    assert (found["text"], found["line"]) == ("600.0 Wh", [10.0] * 60)
    assert found["times"] == [NOW - (70 - minute) * MINUTE_MS for minute in range(60)]


@pytest.mark.parametrize("after_ms", [10_000, 59_000])
def test_energy_does_not_depend_on_where_a_minute_begins(shown, after_ms):
    """All intervals are whole: none is lower at the end, none counts time beyond the window."""
    found = shown("energy-live", "Energy in the window", after_ms=-10 * MINUTE_MS + after_ms)
    assert (found["text"], found["line"]) == ("600.0 Wh", [10.0] * 60)


def test_what_is_made_of_the_energy_follows_it(shown):
    energy_wh = sum(shown("energy-fleet", "Energy in the window")["line"])
    assert shown("energy-fleet", "gCO2e at $co2_g_per_kwh g/kWh")["text"] == f"{energy_wh * 0.4:.2f} g"
    cost = shown("energy-fleet", COST)["text"]
    assert cost == f"{energy_wh * 0.00025:.2f}"


@pytest.mark.parametrize(
    ("run", "text", "line"),
    [
        ("first", "10.00 Wh", [10.0]),
        ("second", "20.00 Wh", [10.0, 20.0]),
        ("third", "1.25 kWh", [10.0, 20.0, 1250.0]),
        ("last", "40.00 Wh", [10.0, 20.0, 1250.0, 40.0]),
        ("other", "99.00 Wh", [99.0]),
    ],
)
def test_the_energy_of_a_run_ends_the_line_of_its_scenario(shown, run, text, line):
    """Whichever is chosen: later runs and other scenarios are not in it."""
    found = shown("energy-run", "Energy", run=run)
    assert (found["text"], found["line"]) == (text, line)
    assert "times" not in found


@pytest.mark.parametrize("run", ["unknown", "nobody"])
@pytest.mark.parametrize("title", ["Energy", "±", "Δ baseline", COST])
def test_a_run_without_a_figure_does_not_get_that_of_another(shown, run, title):
    assert shown("energy-run", title, run=run)["text"] == DASH


def test_a_run_without_a_baseline_has_no_change(shown):
    """Though it is measured, and the run before it has one."""
    assert shown("energy-run", "Δ baseline", run="first")["text"] == DASH
    found = shown("energy-run", "Δ baseline", run="last")
    assert (found["text"], found["line"]) == ("100.0%", [None, 100.0, 25.0, 100.0])


def test_a_run_that_could_not_be_resolved_still_has_a_duration_and_its_coverage(shown):
    found = shown("energy-run", "Duration", run="unknown")
    assert (found["text"], len(found["line"])) == ("00:30:00", 3)
    assert shown("energy-run", "Coverage", run="unknown")["text"] == "100%"


def test_a_sparkline_can_be_seen(answered, mapper):
    """It has the figure's colour, which a table's threshold would make transparent."""
    found = grafana_mapper.run(mapper, [answered(uid, panel, run="last") for uid, panel in DRAWN])
    colours = {(uid, panel["title"]): one["color"] for (uid, panel), (one,) in zip(DRAWN, found, strict=True)}
    assert len(colours) > 15
    assert all(colour.startswith("#") for colour in colours.values()), colours
