"""Alert rules for Grafana's file provisioning, in a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.influxql import MEASURABLE, outer, select
from energyrecorder.schema import ENERGY_STEPS, SERVER_BMC

# Not "Energy": alert provisioning makes its folder by title before the dashboards do.
FOLDER = "Energy alerts"
DATASOURCE_UID = "energy-influxdb"


def _rule(uid: str, title: str, query: str, threshold: str, text: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule: the query (A), one value of each of its series (B), the comparison (C)."""
    window = {"from": text["window_s"], "to": 0}
    expression = {"type": "__expr__", "uid": "__expr__"}

    def step(ref: str, uid_of: str, model: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "refId": ref,
            "relativeTimeRange": window,
            "datasourceUid": uid_of,
            "model": {"refId": ref, **model},
        }

    asked = {"rawQuery": True, "resultFormat": "time_series", "query": query}
    reduced = {"type": "reduce", "expression": "A", "reducer": text["reducer"], "datasource": expression}
    compared = {"type": "math", "expression": f"$B {threshold}", "datasource": expression}
    return {
        "uid": uid,
        "title": title,
        "condition": "C",
        "for": text["for"],
        "noDataState": text["no_data"],
        "execErrState": "Error",
        "annotations": {"summary": text["summary"], "description": text["description"]},
        "labels": {"source": "energyrecorder"},
        "data": [
            step("A", DATASOURCE_UID, asked),
            step("B", "__expr__", reduced),
            step("C", "__expr__", compared),
        ],
    }


_DAY_S = 86_400
"""A step is stamped with its start: its end, its result, or that it is lost, may come hours later."""
_TEXTS = {
    "silent": {
        "window_s": 3600,
        "for": "1m",
        "reducer": "last",
        "no_data": "Alerting",
        "summary": "{{ $labels.server }} gives no power readings",
        "description": "No poll with up = 1 for 4 to 5 min, of a server that was polled within the hour. See server_bmc.error "
        "in Collector & annotator health.",
    },
    "budget": {
        "window_s": _DAY_S,
        "for": "0s",
        "reducer": "max",
        "no_data": "OK",
        "summary": "{{ $labels.scenario }} needed more than its budget",
        "description": "A scenario or step that began in the last 24 h needed more than 1000 Wh: put your own budget here.",
    },
    "lost": {
        "window_s": _DAY_S,
        "for": "0s",
        "reducer": "sum",
        "no_data": "OK",
        "summary": "A test step of {{ $labels.env }} was never stopped",
        "description": "It began in the last 24 h and its client fell silent; its end is the last sign of life.",
    },
}


def build() -> dict[str, Any]:
    """Return the file: server silent, step over budget, step lost.

    Model and annotations are not interpolated by provisioning, so a dollar is written once.
    """
    minute = 'time(1m), "env"'
    up = select(["max(up) AS up"], SERVER_BMC, "$timeFilter", group=f'{minute}, "server"', tail="fill(0)")
    # Alert rules have no variables. Over five minutes: the one that runs may hold no poll yet.
    silent = outer('moving_average("up", 5)', up.replace("${store}", '"'), group='"env", "server"')
    energy = ["max(energy_wh)"]
    budget = select(
        energy, ENERGY_STEPS, MEASURABLE, "$timeFilter", group=f'{minute}, "scenario"', tail="fill(none)"
    )
    is_lost = "\"state\" = 'lost'"
    lost = select(["count(step_id)"], ENERGY_STEPS, is_lost, "$timeFilter", group=minute, tail="fill(none)")
    rules = [
        _rule("energy-server-silent", "Server silent", silent, "== 0", _TEXTS["silent"]),
        _rule("energy-step-over-budget", "Step over budget", budget, "> 1000", _TEXTS["budget"]),
        _rule("energy-step-lost", "Step lost", lost, "> 0", _TEXTS["lost"]),
    ]
    group = {"orgId": 1, "name": "energyrecorder", "folder": FOLDER, "interval": "1m", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}
