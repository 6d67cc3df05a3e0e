"""Dashboard "Collector & annotator health": are readings coming, are steps lost."""

from __future__ import annotations

from dashboards import Json, frame
from dashboards.columns import STATE_COLOURS, W, by_name, by_pattern, coloured
from dashboards.figures import figure, over_window
from dashboards.influxql import ANNOTATOR, ENV, INTERVAL, SERVER, TELEGRAF, TOTAL, newest, outer, per, select
from dashboards.panels import FEW_POINTS, LONGEST_POLL, laid_out, table, target, timeseries
from dashboards.transformations import sorted_by
from energyrecorder.schema import ENERGY_STEPS, SERVER_BMC, SERVER_POWER


def _each(*tags: str) -> dict[str, str]:
    """Return how curves are grouped: by intervals that have values, and by tags."""
    return {"group": per(INTERVAL, *tags), "tail": "fill(none)"}


def _figures() -> list[tuple[int, Json]]:
    polls = select(["mean(up) AS up"], SERVER_BMC, ENV, SERVER, "$timeFilter")
    late = select(["sum(late_ticks) AS late"], SERVER_BMC, ENV, SERVER, "$timeFilter", **_each())
    lost = select(
        ["count(step_id) AS lost"], ENERGY_STEPS, ENV, "\"state\" = 'lost'", "$timeFilter", group=INTERVAL
    )
    ended = ("\"quality\" = 'pending'", "\"state\" != 'running'")
    pending = select(["count(step_id) AS pending"], ENERGY_STEPS, ENV, *ended, "$timeFilter", group=INTERVAL)
    lost_text = (
        "Steps of the window that were never stopped and fell silent: their end is the last sign of life."
    )
    pending_text = (
        "Ended steps whose readings are still awaited; a result comes at the latest 2 min after the end."
    )
    late_text = "Polls that did not take place because the one before lasted too long."
    up_text = "Mean of up over all polls in the window."
    return [
        (6, figure("Polls that gave a reading", up_text, [polls], "up", "percentunit", decimals=1)),
        (6, over_window("Lost steps", lost_text, lost, "lost", "none", alarm=True)),
        (6, over_window("Steps without a result yet", pending_text, pending, "pending", "none")),
        (6, over_window("Missed ticks", late_text, late, "late", "none", alarm=True)),
    ]


def _newest() -> Json:
    power = select(
        ["last(watts) AS watts"], SERVER_POWER, ENV, SERVER, TOTAL, "$timeFilter", group='"server"'
    )
    return table(
        "Last reading of each server",
        "Time and value of the newest reading in the window, oldest first: a server that stands here with an old time "
        "has fallen silent.",
        [target(power, table=True)],
        overrides=[
            by_name("Time", unit="dateTimeFromNow", displayName="Age"),
            by_name("watts", unit=W, displayName="Power"),
        ],
        transformations=[sorted_by("Time", descending=False)],
    )


def _errors() -> Json:
    failed = select(
        ["error", "host", "protocol", "scrape_ms", "server"],
        SERVER_BMC,
        ENV,
        SERVER,
        '"up" = 0',
        "$timeFilter",
        tail=newest(200),
    )
    return table(
        "Polls without a reading",
        "The newest 200, with the reason: timeout, unreachable, tls, auth, locked, privilege, busy, session_limit, "
        "protocol, data, no_reading, unsupported.",
        [target(failed, table=True)],
        overrides=[by_name("scrape_ms", unit="ms", displayName="Duration", decimals=0)],
    )


def _failures() -> Json:
    counted = ["count(error) AS failed", "last(error) AS reason"]
    query = select(counted, SERVER_BMC, ENV, SERVER, '"up" = 0', "$timeFilter", group='"server"')
    return table(
        "Failed polls by server",
        "Count of the polls in the window with up = 0, and the reason of the last one; most first. Servers that always "
        "answered are not listed.",
        [target(query, table=True)],
        overrides=[by_name("Time", custom__hidden=True), by_name("failed", displayName="Failed")],
        transformations=[sorted_by("failed", descending=True)],
    )


def _down() -> Json:
    inner = select(["min(up) * -1 + 1 AS down"], SERVER_BMC, ENV, SERVER, "$timeFilter", **_each("server"))
    query = outer('sum("down")', inner, where="$timeFilter", **_each())
    text = "Servers of which at least one poll in the interval, of a minute or longer, gave no reading."
    found = [target(query, alias="down")]
    panel = timeseries("Servers down", text, found, unit="none", most_points=FEW_POINTS)
    return {**panel, "interval": LONGEST_POLL}


def _durations() -> Json:
    query = select(["mean(scrape_ms)"], SERVER_BMC, ENV, SERVER, "$timeFilter", **_each("server"))
    text = "Mean time from the first request to the last answer of a poll."
    return timeseries(
        "Duration of a poll", text, [target(query, alias="$tag_server")], unit="ms", most_points=FEW_POINTS
    )


def _telegraf() -> Json:
    query = select(["max(metrics_gathered)"], TELEGRAF, "$timeFilter", **_each("alias"))
    text = (
        "Counter metrics_gathered of Telegraf's inputs.internal (energy-watch.conf.sample): flat means that the "
        "collector is silent, a drop to zero that Telegraf was started again."
    )
    found = [target(query, alias="$tag_alias")]
    return timeseries("Lines from the collector in Telegraf", text, found, unit="none")


def _outputs() -> Json:
    ours = "\"output\" != ''"
    shown = {
        "buffer_size": "waiting",
        "write_errors": "failed writes",
        "metrics_rejected": "rejected",
        "metrics_dropped": "dropped",
    }
    found = [
        target(
            select([f"max({field})"], TELEGRAF, ours, "$timeFilter", **_each("alias")),
            alias=f"$tag_alias {name}",
        )
        for field, name in shown.items()
    ]
    text = (
        "Of each of our outputs, by Telegraf's inputs.internal (energy-watch.conf.sample): points in its buffer now; and "
        "since its start writes that failed, points that the database rejected, and points dropped for want of room. "
        "Rejected and dropped ones are lost."
    )
    return timeseries("Points that Telegraf could not write", text, found, unit="none")


def _waiting() -> Json:
    backlog = select(["max(energy_annotator_sink_backlog)"], ANNOTATOR, "$timeFilter", **_each("sink"))
    refused = select(["max(energy_annotator_sink_refused_total)"], ANNOTATOR, "$timeFilter", **_each("sink"))
    text = (
        "Steps and marks that the annotator has on disk and its sink has not taken yet (energy-watch-annotator.conf.sample): "
        "rises while that sink is away, and falls when it is back. refused: those that it refused for good, since the "
        "annotator's start."
    )
    found = [target(backlog, alias="$tag_sink"), target(refused, alias="$tag_sink refused")]
    return timeseries("Steps that wait for a sink", text, found, unit="none")


def _spools() -> Json:
    oldest = select(
        ["max(energy_annotator_spool_oldest_seconds)"], ANNOTATOR, ENV, "$timeFilter", **_each("env")
    )
    size = select(["max(energy_annotator_spool_bytes)"], ANNOTATOR, ENV, "$timeFilter", **_each("env"))
    text = (
        "Steps and marks that a client keeps in its spool, by environment: age of the oldest and size of the largest "
        "spool (right; 64 MiB is its bound), as clients told in the 5 to 10 minutes before "
        "(energy-watch-annotator.conf.sample). They wait while the annotator is away, until an environment is named "
        "(energy-step flush --env) or, older than a week, until a person sends them (energy-step flush --all). A client "
        "that does not reach the annotator is seen when it does again."
    )
    found = [target(oldest, alias="$tag_env oldest"), target(size, alias="$tag_env size")]
    on_the_right = by_pattern("/ size$/", unit="bytes", custom__axisPlacement="right")
    return timeseries("Steps that wait on clients' disks", text, found, unit="s", overrides=[on_the_right])


def _bad_steps() -> Json:
    columns = ["scenario", "step", "state", "title", "time_end", "exit_code"]
    bad = "(\"state\" = 'lost' OR \"state\" = 'failed')"
    query = select(columns, ENERGY_STEPS, ENV, bad, "$timeFilter", tail=newest(200))
    return table(
        "Lost and failed steps",
        "The newest 200. Lost: nobody said that it ended; failed: the test said so.",
        [target(query, table=True)],
        overrides=[
            coloured("state", STATE_COLOURS, 85),
            by_name("time_end", unit="dateTimeAsIso", displayName="End"),
        ],
    )


def build() -> Json:
    """Return the dashboard."""
    rows = [
        (4, _figures()),
        (8, [(12, _down()), (12, _durations())]),
        (9, [(7, _newest()), (7, _failures()), (10, _errors())]),
        (8, [(12, _telegraf()), (12, _outputs())]),
        (8, [(12, _waiting()), (12, _spools())]),
        (8, [(24, _bad_steps())]),
    ]
    return frame.dashboard(
        "energy-health",
        "Collector & annotator health",
        "Are readings coming, are steps lost.",
        variables=[
            frame.env_variable(),
            frame.server_variable(),
            frame.reading_variable(),
            frame.store_variable(means=False),
            frame.annotator_variable(),
        ],
        panels=laid_out(rows),
        refresh="1m",
    )
