"""Power of servers and its sum over time, as several dashboards show them."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards import Json, figures
from dashboards.columns import by_name, line_only
from dashboards.influxql import (
    AROUND_WINDOW,
    ENV,
    GRID_TO_END,
    INTERVAL,
    INTERVAL_TO_END,
    SCENARIO,
    SCENARIOS_ONLY,
    SERVER,
    TOTAL,
    WINDOW,
    outer,
    per,
    select,
)
from dashboards.panels import target, timeseries
from energyrecorder.schema import ENERGY_STEPS, SERVER_POWER

_WH = 'sum("w") * $__interval_ms / 3600000'


def per_server() -> str:
    """Return the mean power per server and interval."""
    return select(
        ["mean(watts)"],
        SERVER_POWER,
        ENV,
        SERVER,
        TOTAL,
        "$timeFilter",
        group=per(INTERVAL, "server"),
        tail="fill(none)",
    )


def total_power() -> str:
    """Return the power of all servers together per interval: a sum of means, so that parts are never counted."""
    return _over_servers('sum("w")', GRID_TO_END, where=AROUND_WINDOW)


def grouped_power(tag: str) -> str:
    """Return the power per interval and value of a tag, which may be a variable of the dashboard."""
    return _over_servers('sum("w")', INTERVAL_TO_END, tag)


def window_energy_wh(*, factor: str = "", name: str = "energy") -> str:
    """Return watt-hours of each interval of the window: mean power × its length, none without readings.

    Not ``integral()``: InfluxDB 3 does not have it, and it would bridge gaps.
    """
    return _over_servers(f'{_WH}{factor} AS "{name}"', INTERVAL_TO_END)


def _over_servers(expression: str, grid: str, *tags: str, where: str = WINDOW) -> str:
    means = _means(grid, *tags, where=where)
    return outer(expression, means, where=where, group=per(grid, *tags), tail="fill(none)")


def _means(grid: str, *tags: str, where: str = WINDOW) -> str:
    return select(
        ["mean(watts) AS w"],
        SERVER_POWER,
        ENV,
        SERVER,
        TOTAL,
        where,
        group=per(grid, "server", *tags),
        tail="fill(none)",
    )


def window_energy_by(tag: str, columns: Mapping[str, str]) -> str:
    """Return sums over the watt-hours of the window per value of a tag, which may be a variable.

    The outer queries have no bound of their own: with one InfluxDB 1.6.7 answers nothing.

    Args:
        tag: The tag.
        columns: What is made of the sum (empty or arithmetic) by the name of its column.
    """
    means = _means(INTERVAL_TO_END, tag)
    # Summed up once: of a large fleet each sum takes its time.
    summed = outer(f'{_WH} AS "wh"', means, group=f'"{tag}"')
    written = (f'"wh"{factor} AS "{name}"' for name, factor in columns.items())
    return outer(", ".join(written), summed, group=f'"{tag}"')


def power_now() -> Json:
    """Return the present power of all servers."""
    text = (
        "Sum over the servers of their last reading, none older than 3 min at the right edge of the window."
    )
    return figures.present("Power now", text, SERVER_POWER, "watts", "sum", "watt", TOTAL)


def window_energy() -> Json:
    """Return the energy of the window."""
    text = (
        "Sum over servers and intervals (1 min or longer) of mean power × length of the interval; those without a reading "
        "count nothing. The energy of a step, with its interval, stands with the steps."
    )
    return figures.over_window(
        "Energy in the window", text, window_energy_wh(), "energy", "watth", decimals=1
    )


def power_curves(title: str, *which: str) -> Json:
    """Return power per server, their total, and the idle level that results of ``which`` scenarios found."""
    where = (ENV, SCENARIO, SCENARIOS_ONLY, *which, "$timeFilter")
    idle = select(["last(idle_w) AS idle"], ENERGY_STEPS, *where, group=INTERVAL, tail="fill(previous)")
    dashes = {"fill": "dash", "dash": [6, 6]}
    return timeseries(
        title,
        "Mean power per server and interval as the BMC reports it (scope = server, no parts, so that nothing is "
        "counted twice). total = sum of the servers' means over a minute or longer, so that one that is read once a minute "
        "counts in each; one of these ends with the window. A gap is a gap: missing is never 0. Bands: scenarios and "
        "steps; red lines: computers switched off or on. idle = idle power of the servers of the last scenario that "
        "has a result.",
        [
            target(per_server(), alias="$tag_server"),
            target(total_power(), alias="total"),
            target(idle, alias="idle"),
        ],
        unit="watt",
        overrides=[by_name("idle", **line_only(custom__lineStyle=dashes))],
    )
