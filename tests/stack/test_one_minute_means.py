"""Every query of power on 1-min means of a real InfluxDB: *Power from: 1-min means* in the dashboards."""

from __future__ import annotations

import pytest

from bench.dashboards import MEANS, make_means
from grafana_data import DAY_MS, demo_lines, now_ms
from grafana_queries import dashboards, interpolated, queries

BOARDS = dashboards()
READING = [uid for uid, board in BOARDS.items() if any("$power" in query for _, _, query in queries(board))]
DATABASE = "means"


@pytest.fixture(scope="module")
def filled(influxd):
    now = now_ms()
    influxd.fill(DATABASE, demo_lines(now))
    make_means(influxd, DATABASE, (now - 2 * DAY_MS, now))
    return influxd, now


def test_dashboards_of_power_offer_the_means():
    for uid in READING:
        (power,) = [one for one in BOARDS[uid]["templating"]["list"] if one["name"] == "power"]
        assert MEANS in {option["value"] for option in power["options"]}
    assert READING


@pytest.mark.parametrize("uid", READING)
def test_they_answer_as_readings_do(filled, uid):
    """The same columns for the same servers over a day, and like figures: the last hour has more readings."""
    influxd, now = filled
    for where, _, query in queries(BOARDS[uid]):
        if "$power" not in query:
            continue
        readings, means = (
            influxd.query(interpolated(query, BOARDS[uid], now - DAY_MS, now, values), DATABASE)
            for values in ({}, {"power": MEANS})
        )
        assert readings, where
        assert [(one["columns"], one.get("tags")) for one in means] == [
            (one["columns"], one.get("tags")) for one in readings
        ], where
        for one, other in zip(readings, means, strict=True):
            assert abs(mean(one) - mean(other)) <= 0.2 * abs(mean(one)), where


def mean(series):
    """Return the mean of all numbers of a series but its times."""
    numbers = [value for row in series["values"] for value in row[1:] if isinstance(value, int | float)]
    return sum(numbers) / len(numbers)
