"""Alert rules for Grafana's file provisioning, in a folder of their own.

Model and annotations are not interpolated by provisioning, so a dollar is written once; rules have no variables.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards import Json
from dashboards.influxql import MEASURABLE, outer, per, select
from energyrecorder.schema import ENERGY_STEPS, SERVER_BMC

# Not "Energy": alert provisioning makes its folder by title before the dashboards do.
FOLDER = "Energy alerts"
DATASOURCE_UID = "energy-influxdb"
_EXPRESSION = {"type": "__expr__", "uid": "__expr__"}
_MINUTE = "time(1m)"
_HOUR_S = 3600
_DAY_S = 86_400
"""A step is stamped with its start: its end, its result, or that it is lost, may come hours later."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A query, one value of each of its series, and what that value is compared with."""

    uid: str
    title: str
    query: str
    reducer: str
    threshold: str
    summary: str
    description: str
    window_s: int = _DAY_S
    lasts: str = "0s"
    no_data: str = "OK"

    def written(self) -> Json:
        """Return the rule as provisioning takes it: the query (A), the value (B), the comparison (C)."""
        asked = {"rawQuery": True, "resultFormat": "time_series", "query": self.query}
        reduced = {"type": "reduce", "expression": "A", "reducer": self.reducer, "datasource": _EXPRESSION}
        compared = {"type": "math", "expression": f"$B {self.threshold}", "datasource": _EXPRESSION}
        return {
            "uid": self.uid,
            "title": self.title,
            "condition": "C",
            "for": self.lasts,
            "noDataState": self.no_data,
            "execErrState": "Error",
            "annotations": {"summary": self.summary, "description": self.description},
            "labels": {"source": "energyrecorder"},
            "data": [
                self._step("A", DATASOURCE_UID, asked),
                self._step("B", "__expr__", reduced),
                self._step("C", "__expr__", compared),
            ],
        }

    def _step(self, ref: str, datasource_uid: str, model: Json) -> Json:
        return {
            "refId": ref,
            "relativeTimeRange": {"from": self.window_s, "to": 0},
            "datasourceUid": datasource_uid,
            "model": {"refId": ref, **model},
        }


def _silent() -> Rule:
    grid = per(_MINUTE, "env", "server")
    up = select(["max(up) AS up"], SERVER_BMC, "$timeFilter", group=grid, tail="fill(0)")
    return Rule(
        uid="energy-server-silent",
        title="Server silent",
        # Over five minutes: the one that runs may hold no poll yet.
        query=outer('moving_average("up", 5)', up.replace("${store}", '"'), group='"env", "server"'),
        window_s=_HOUR_S,
        reducer="last",
        threshold="== 0",
        lasts="1m",
        no_data="Alerting",
        summary="{{ $labels.server }} gives no power readings",
        description="No poll with up = 1 for 4 to 5 min, of a server that was polled within the hour. See server_bmc.error "
        "in Collector & annotator health.",
    )


def _over_budget() -> Rule:
    grid = per(_MINUTE, "env", "scenario")
    return Rule(
        uid="energy-step-over-budget",
        title="Step over budget",
        query=select(
            ["max(energy_wh)"], ENERGY_STEPS, MEASURABLE, "$timeFilter", group=grid, tail="fill(none)"
        ),
        reducer="max",
        threshold="> 1000",
        summary="{{ $labels.scenario }} needed more than its budget",
        description="A scenario or step that began in the last 24 h needed more than 1000 Wh: put your own budget here.",
    )


def _lost() -> Rule:
    is_lost, grid = "\"state\" = 'lost'", per(_MINUTE, "env")
    return Rule(
        uid="energy-step-lost",
        title="Step lost",
        query=select(["count(step_id)"], ENERGY_STEPS, is_lost, "$timeFilter", group=grid, tail="fill(none)"),
        reducer="sum",
        threshold="> 0",
        summary="A test step of {{ $labels.env }} was never stopped",
        description="It began in the last 24 h and its client fell silent; its end is the last sign of life.",
    )


def build() -> Json:
    """Return the file: server silent, step over budget, step lost."""
    rules = [rule.written() for rule in (_silent(), _over_budget(), _lost())]
    group = {"orgId": 1, "name": "energyrecorder", "folder": FOLDER, "interval": "1m", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}
