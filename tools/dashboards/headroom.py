"""How near servers come to what their power supplies are rated for."""

from __future__ import annotations

from dashboards import Json
from dashboards.columns import NO_THRESHOLD, by_name, painted, power_column
from dashboards.influxql import ENV, KNOWN_SERVER, SERVER, TOTAL, outer, select
from dashboards.panels import table, target
from dashboards.transformations import calculated, joined, sorted_by
from energyrecorder.schema import SERVER_INFO, SERVER_POWER

_TOO_MUCH = {"mode": "absolute", "steps": [*NO_THRESHOLD["steps"], {"color": "red", "value": 1}]}
# A single supply leaves 0 W: the quotient is infinite, or of 0 W none.
_NO_SPARE = [
    {"type": "range", "options": {"from": 1e6, "to": None, "result": {"text": "no spare"}}},
    {"type": "special", "options": {"match": "nan", "result": {"text": "no spare"}}},
]


def supplies() -> Json:
    """Return the highest power of each server against the rating of its supplies."""
    servers, per_server = (ENV, SERVER), '"server"'
    power = select(
        ["max(watts) AS max_w"],
        SERVER_POWER,
        *servers,
        TOTAL,
        "$timeFilter",
        group=per_server,
    )
    columns = ["last(psu_capacity_w) AS rated_w", "psu_count AS supplies"]
    info = select(columns, SERVER_INFO, *servers, KNOWN_SERVER, group=per_server)
    left = '"rated_w", "supplies", "rated_w" * ("supplies" - 1) / "supplies" AS "left_w"'
    share = {"unit": "percentunit", "decimals": 0, **painted(_TOO_MUCH)}
    return table(
        "Power supplies",
        "Load = highest power in the window ÷ what the supplies are rated for together (server_info psu_capacity_w). "
        "With one lost: ÷ rating × (n − 1) / n, right for n equal supplies; red = more than the others can deliver. "
        "Ratings are of the output: a power that is measured at the input makes the load a few per cent too high. Peaks "
        "shorter than the BMC's averaging are not seen. Servers alone whose own supplies all tell a rating over Redfish or "
        "iLO.",
        [target(power, table=True), target(outer(left, info, group=per_server), table=True)],
        overrides=[
            power_column("max_w", "Highest", decimals=0),
            power_column("rated_w", "Rated", decimals=0),
            by_name("supplies", displayName="Supplies"),
            power_column("left_w", "With one lost", decimals=0),
            by_name("load", displayName="Load", **share),
            by_name("spare_load", displayName="Load with one lost", mappings=_NO_SPARE, **share),
        ],
        # Of both tables: a quotient with a value that is missing would be shown as 0.
        transformations=[
            *joined("server", "inner"),
            calculated("load", "max_w", "/", "rated_w"),
            calculated("spare_load", "max_w", "/", "left_w"),
            sorted_by("load", descending=True),
        ],
    )
