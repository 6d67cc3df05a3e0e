"""What *Fleet* says of supplies and BMCs: a real InfluxDB's answers as Grafana's own code shows them."""

from __future__ import annotations

import pytest

from energyrecorder import schema
from grafana_data import DAY_MS
from grafana_queries import dashboards, interpolated
from support import grafana_mapper

BOARD = dashboards()["energy-fleet"]
DATABASE = "fleet_panels"
NOW = 1_800_000_000_000
# Supplies, their rating, powers; a server may not tell some of it.
SERVERS = {
    "ample": (2, 1500.0, [500.0, 600.0]),
    "short": (2, 1000.0, [100.0, 620.0]),
    "single": (1, 750.0, [300.0]),
    "unrated": (2, None, [400.0]),
    "silent": (2, 800.0, []),
    "off": (1, 500.0, [0.0]),
}
SIDES = {"ample": "ac", "short": "dc", "single": "unknown"}
PAGES = {
    "ample": "https://[fd00::7]:8443",
    "short": "http://10.0.0.8",
    "single": "javascript:alert(1)",
    "off": "https://bmc-9:8443",
}


def lines():
    """Yield what the collector writes of these servers."""
    power, info = schema.measurement(schema.SERVER_POWER), schema.measurement(schema.SERVER_INFO)
    for server, (count, rated_w, powers) in SERVERS.items():
        tags = {"env": "pod1", "server": server}
        for number, watts in enumerate(powers):
            read = {"watts": watts, "side": SIDES.get(server)}
            yield power.line({**tags, "scope": "server"}, read, (NOW - number * 1000) * 10**6)
        fields = {"psu_count": count, "psu_capacity_w": rated_w, "bmc_url": PAGES.get(server)}
        yield info.line(tags, fields, (NOW - 20 * DAY_MS) * 10**6)


@pytest.fixture(scope="module")
def shown(influxd, mapper):
    """Return the columns of a panel by its title."""
    influxd.fill(DATABASE, lines())

    def of(title):
        panel = next(panel for panel in BOARD["panels"] if panel["title"] == title)
        frames = []
        for target in panel["targets"]:
            query = interpolated(target["query"], BOARD, NOW - DAY_MS, NOW)
            frames += grafana_mapper.table_frame(influxd.query(query, DATABASE), target["refId"])
        ((frame,),) = grafana_mapper.run(mapper, [{"panel": panel, "frames": frames}])
        return {column["name"]: column for column in frame["columns"]}

    return of


def test_the_load_of_the_power_supplies(shown):
    """The highest power against their rating, and against what is left with one of equal supplies lost."""
    columns = shown("Power supplies")
    texts = {name: columns[name]["texts"] for name in ("server", "max_w", "left_w", "load", "spare_load")}
    rows = list(zip(*texts.values(), strict=True))
    assert rows == [
        ("short", "620 W", "500 W", "62%", "124%"),
        ("ample", "600 W", "750 W", "40%", "80%"),
        ("single", "300 W", "0 W", "40%", "no spare"),
        ("off", "0 W", "0 W", "0%", "no spare"),
    ]


def test_a_server_that_tells_no_rating_or_no_power_has_no_load(shown):
    """Nothing is shown where one of both is missing: a quotient of it would be 0 %."""
    assert {"unrated", "silent"}.isdisjoint(shown("Power supplies")["server"]["values"])


def test_the_address_of_a_bmc_leads_to_its_page(shown):
    """As it stands, brackets and ports too; nothing but http and https is shown at all."""
    columns = shown("Servers")
    pages = dict(zip(columns["server"]["values"], columns["bmc_url"]["values"], strict=True))
    assert pages == {**dict.fromkeys(SERVERS), **PAGES, "single": None}
    links = [link.rstrip("/") for (link,) in columns["bmc_url"]["links"]]
    assert links == [url or "" for url in pages.values()]


def test_on_which_side_of_the_supplies_power_is_measured(shown):
    """Totals of servers with different ones mix them."""
    columns = shown("Servers")
    sides = dict(zip(columns["server"]["values"], columns["side"]["texts"], strict=True))
    assert sides == {**dict.fromkeys(SERVERS, "\N{EN DASH}"), **SIDES}


def test_grafana_itself_lets_no_script_into_a_link(mapper):
    """The second bolt, if somebody wrote past the first."""
    panel = next(panel for panel in BOARD["panels"] if panel["title"] == "Servers")
    fields = [
        {"name": "server", "type": "string", "values": ["a"], "config": {}},
        {"name": "mean_w", "type": "number", "values": [1], "config": {}},
        {"name": "bmc_url", "type": "string", "values": ["javascript:alert(1)"], "config": {}},
    ]
    job = {"panel": panel, "frames": [{"refId": "A", "fields": fields}]}
    ((frame,),) = grafana_mapper.run(mapper, [job])
    page = next(column for column in frame["columns"] if column["name"] == "bmc_url")
    assert page["links"] == [["about:blank"]]
