"""*Readings from* in the dashboards: Telegraf's policy `raw` and 1-min means, in a real InfluxDB."""

from __future__ import annotations

import pytest

from bench.dashboards import MEANS, make_means
from dashboards.influxql import FROM_TELEGRAF
from grafana_data import DAY_MS, demo_lines, now_ms
from grafana_queries import dashboards, interpolated, queries

BOARDS = dashboards()
DATABASE = "means"
# A side is a text.
WITHOUT_MEANS = {"Servers/B"}


def stores(board):
    """Return what *Readings from* offers on a dashboard."""
    offered = [one for one in board["templating"]["list"] if one["name"] == "store"]
    return [option["value"] for one in offered for option in one["options"]]


READING = [uid for uid, board in BOARDS.items() if MEANS in stores(board)]


@pytest.fixture(scope="module")
def filled(influxd):
    now = now_ms()
    influxd.fill(DATABASE, demo_lines(now))
    make_means(influxd, DATABASE, (now - 2 * DAY_MS, now))
    return influxd, now


def test_dashboards_of_power_offer_the_means():
    assert {"energy-live", "energy-run", "energy-fleet"} == set(READING)


@pytest.mark.parametrize("uid", READING)
def test_they_answer_as_readings_do(filled, uid):
    """The same columns for the same servers over a day, and like figures: the last hour has more readings."""
    influxd, now = filled
    for where, _, query in queries(BOARDS[uid]):
        if "${store}" not in query or where in WITHOUT_MEANS:
            continue
        readings, means = (
            influxd.query(interpolated(query, BOARDS[uid], now - DAY_MS, now, values), DATABASE)
            for values in ({}, {"store": MEANS})
        )
        assert readings, where
        assert [(one["columns"], one.get("tags")) for one in means] == [
            (one["columns"], one.get("tags")) for one in readings
        ], where
        for one, other in zip(readings, means, strict=True):
            assert mean(other) == pytest.approx(mean(one), rel=0.2), where


def test_dashboards_show_readings_of_telegrafs_policy(influxd):
    """With the two lines changed that `init-influxdb --raw-retention` names all but steps is in `raw`."""
    now = now_ms()
    influxd.query('CREATE DATABASE "policies"')
    influxd.query('CREATE RETENTION POLICY "raw" ON "policies" DURATION 30d REPLICATION 1')
    lines = {policy: [] for policy in ("raw", "autogen")}
    for line in demo_lines(now):
        lines["raw" if line.partition(",")[0] in FROM_TELEGRAF else "autogen"].append(line)
    for policy, written in lines.items():
        influxd.fill("policies", written, policy=policy)
    for board in BOARDS.values():
        for where, _, query in queries(board):
            if "${store}" in query:
                in_default, in_raw = (
                    influxd.query(interpolated(query, board, now - DAY_MS, now, {"store": store}), "policies")
                    for store in stores(board)[:2]
                )
                assert (in_default, bool(in_raw)) == ([], True), (board["uid"], where)
            elif where.startswith("variable"):
                asked = interpolated(query, board, now - DAY_MS, now)
                assert influxd.query(asked, "policies"), (board["uid"], where)


def mean(series):
    """Return the mean of all numbers of a series but its times; 0 without any."""
    numbers = [value for row in series["values"] for value in row[1:] if isinstance(value, int | float)]
    return sum(numbers) / max(len(numbers), 1)
