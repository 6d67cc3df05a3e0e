"""Dashboard "Fleet": who draws how much, grouped as one likes, with cost and carbon by visible factors."""

from __future__ import annotations

from dashboards import Json, frame, headroom, power, results
from dashboards.columns import (
    AS_WRITTEN,
    KWH,
    SIDE_COLOURS,
    W,
    bar_cell,
    by_name,
    coloured,
    link,
    power_column,
)
from dashboards.figures import over_window
from dashboards.influxql import ENV, KNOWN_SERVER, RECENT, SERVER, TOTAL, select
from dashboards.panels import COARSE_POINTS, LONGEST_POLL, laid_out, status_history, table, target, timeseries
from dashboards.transformations import joined, sorted_by
from energyrecorder.schema import SERVER_BMC, SERVER_INFO, SERVER_POWER, STATIC_TAGS

NOTE = "Energy in the window = Σ mean power × interval (1 min or longer) over servers, intervals without readings left out; "


PER_DAY = " / ((${__to} - ${__from}) / 86400000)"
KILO = " / 1000"
CO2, COST = f"{KILO} * $co2_g_per_kwh", f"{KILO} * $price_per_kwh"


def _scaled(title: str, text: str, factor: str, unit: str) -> Json:
    query = power.window_energy_wh(factor=factor, name="scaled")
    return over_window(title, NOTE + text, query, "scaled", unit, decimals=2)


def _figures() -> list[tuple[int, Json]]:
    day_text = "divided by the length of the window in days; low by what is missing."
    co2_text = "in kWh × the factor in the title, which you set above; 400 is an example."
    return [
        (5, power.power_now()),
        (5, power.window_energy()),
        (5, _scaled("Energy per day", day_text, PER_DAY, "watth")),
        (5, _scaled(results.CARBON, co2_text, CO2, "massg")),
        (4, _scaled(results.COST, "in kWh × the price in the title.", COST, "none")),
    ]


def _consumers() -> Json:
    figures = ["mean(watts) AS mean_w", "max(watts) AS max_w", "min(watts) AS min_w"]
    power = select(figures, SERVER_POWER, ENV, SERVER, TOTAL, "$timeFilter", group='"server"')
    info = select(
        [
            "last(vendor) AS vendor",
            "last(model) AS model",
            "last(bmc_fw) AS bmc_fw",
            "last(power_cap_w) AS cap_w",
            "last(psu_count) AS supplies",
        ],
        SERVER_INFO,
        ENV,
        SERVER,
        KNOWN_SERVER,
        group='"server"',
    )
    side = select(["last(side) AS side"], SERVER_POWER, ENV, SERVER, TOTAL, RECENT, group='"server"')
    web = '"bmc_url" =~ /^https?:\\/\\//'
    page = select(["last(bmc_url) AS bmc_url"], SERVER_INFO, ENV, SERVER, web, KNOWN_SERVER, group='"server"')
    return table(
        "Servers",
        "Mean, largest and smallest power in the window (the smallest is about the idle floor when the window holds a "
        "quiet time), and what is known of the server. Side: before (ac) or behind (dc) the power supplies, by the last "
        "reading within 3 min; 1-min means do not tell it. Where sides differ, the totals of this page mix them. Sorted by "
        "mean power; the name opens the live view, the address the BMC's own page where it is read over HTTP.",
        [target(query, table=True) for query in (power, side, info, page)],
        overrides=[
            link(
                "server",
                "Live view",
                "/d/energy-live?var-server=${__value.raw:percentencode}&${env:queryparam}&${datasource:queryparam}"
                f"&{AS_WRITTEN}",
            ),
            power_column("mean_w", "Mean", **bar_cell()),
            power_column("max_w", "Max"),
            power_column("min_w", "Min"),
            coloured("side", SIDE_COLOURS, 75),
            by_name("cap_w", unit=W, displayName="Power cap"),
            by_name("bmc_fw", displayName="BMC firmware"),
            # As it stands: not every Grafana undoes the escaping of an IPv6 address's brackets.
            link("bmc_url", "The BMC's page", "${__value.raw:raw}", displayName="BMC"),
        ],
        transformations=[
            *joined("server", "outer"),
            sorted_by("mean_w", descending=True),
        ],
    )


def _state() -> Json:
    columns = ["last(error) AS error", "last(host) AS host"]
    query = select(columns, SERVER_BMC, ENV, SERVER, RECENT, group='"server"')
    return table(
        "State",
        "Last answer of each BMC within 3 min: why there is no reading, and whether the computer is on.",
        [target(query, table=True)],
        overrides=[by_name("Time", custom__hidden=True)],
    )


def _grouped() -> Json:
    text = (
        "Sum over the servers of a group of their mean power per interval of a minute or longer. Sites, rooms, rows, racks and groups are "
        "tags that fleet.toml gives; servers without one stand together."
    )
    query = power.grouped_power("${group_by}")
    panel = timeseries(
        "Power by ${group_by}",
        text,
        [target(query, alias="$tag_${group_by}")],
        unit="watt",
        most_points=COARSE_POINTS,
    )
    return {**panel, "interval": LONGEST_POLL}


def _shares() -> Json:
    columns = {"energy_kwh": KILO, "per_day_kwh": f"{KILO}{PER_DAY}", "co2_g": CO2, "cost": COST}
    query = power.window_energy_by("${group_by}", columns)
    panel = table(
        "Energy by ${group_by}",
        f"{NOTE}per group. Per day: divided by the length of the window in days; low by what is missing. gCO2e and cost = "
        "energy in kWh × the factor in the column's title, which you set above.",
        [target(query, table=True)],
        overrides=[
            by_name("Time", custom__hidden=True),
            by_name("energy_kwh", unit=KWH, displayName="Energy", decimals=3),
            by_name("per_day_kwh", unit=KWH, displayName="Per day", decimals=3),
            *results.footprint_columns(cost_decimals=2),
        ],
        transformations=[sorted_by("energy_kwh", descending=True)],
    )
    return {**panel, "maxDataPoints": COARSE_POINTS, "interval": LONGEST_POLL}


def build() -> Json:
    """Return the dashboard."""
    cells_text = "Mean power per interval, a row per server; empty = no reading."
    cells = [target(power.per_server(), alias="$tag_server")]
    rows = [
        (4, _figures()),
        (9, [(14, _grouped()), (10, _shares())]),
        (10, [(24, status_history("Power per server", cells_text, cells, unit="watt"))]),
        (10, [(24, _consumers())]),
        (9, [(8, _state()), (16, headroom.supplies())]),
    ]
    groups = [(tag, tag) for tag in ("env", *STATIC_TAGS, "server")]
    return frame.dashboard(
        "energy-fleet",
        "Fleet",
        "All servers: power, energy, cost, carbon.",
        variables=[
            frame.env_variable(),
            frame.server_variable(),
            frame.custom_variable("group_by", "Group by", groups),
            frame.reading_variable(),
            frame.store_variable(),
            *frame.footprint_variables(),
        ],
        panels=laid_out(rows),
        time=("now-6h", "now"),
        refresh="1m",
    )
