"""From steps, results and marks to points of InfluxDB: pure."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energyrecorder.line_protocol import FieldValue
from energyrecorder.schema import (
    ENERGY_MARKS,
    ENERGY_STEP_SERVERS,
    ENERGY_STEPS,
    GRAFANA_STATES,
    measurement,
)
from energyrecorder_annotator.journal.base import Mark, StoredResult
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.selectors import COMMIT_KEYS
from energyrecorder_annotator.sinks.wording import html_text, safe_link, tag_list, tag_name, title_of

PROVISIONAL_NS = 1_000_000_000
"""A running step is shown to end this long after its start until it is touched: never without an end."""

_FROM_RESULT = (
    "energy_j",
    "u95_j",
    "u95_gain_j",
    "avg_w",
    "max_w",
    "idle_w",
    "net_j",
    "u95_net_j",
    "share_j",
    "coverage",
    "samples",
)
_ONLY_STEP = ("quality", "reason", "method", "side", "servers", "overlap")


@dataclass(frozen=True, slots=True)
class Point:
    """One point, not yet text."""

    measurement: str
    tags: Mapping[str, str | None]
    fields: Mapping[str, FieldValue | None]
    time_ns: int

    def line(self) -> str | None:
        """Return it in line protocol; None when it has no field."""
        return measurement(self.measurement).line(self.tags, self.fields, self.time_ns)


@dataclass(frozen=True, slots=True)
class Shape:
    """What stands in InfluxDB of one step, to see what a rewrite would leave behind.

    Args:
        start_ns: Time of its points.
        step: The tag ``step``; None for a scenario.
        fields: Names of the fields of its ``energy_steps`` point.
        servers: Servers of its ``energy_step_servers`` points, with their number of fields.
        profile: When the result was computed whose profile is written; 0 without one.
    """

    start_ns: int
    step: str | None
    fields: frozenset[str]
    servers: Mapping[str, int]
    profile: int = 0

    @classmethod
    def of(cls, points: Sequence[Point], profile: int) -> Shape:
        """Return the shape of the points of one step, the ``energy_steps`` point first."""
        first = points[0]
        return cls(
            start_ns=first.time_ns,
            step=first.tags["step"],
            fields=_present(first),
            servers={str(point.tags["server"]): len(_present(point)) for point in points[1:]},
            profile=profile,
        )

    @classmethod
    def from_memo(cls, memo: str | None) -> Shape | None:
        """Return the shape that `memo` wrote; None without one."""
        if not memo:
            return None
        start_ns, step, fields, servers, profile = json.loads(memo)
        return cls(start_ns, step, frozenset(fields), servers, profile)

    def memo(self) -> str:
        """Return it as text."""
        values = [self.start_ns, self.step, sorted(self.fields), dict(self.servers), self.profile]
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False)

    def is_outlived_by(self, new: Shape) -> bool:
        """Tell whether writing ``new`` over it leaves nothing of it behind."""
        return (
            (self.start_ns, self.step) == (new.start_ns, new.step)
            and self.fields <= new.fields
            and all(new.servers.get(server, 0) >= count for server, count in self.servers.items())
        )


def step_points(step: Step, result: StoredResult | None, *, name: str | None, now_ns: int) -> list[Point]:
    """Return the points of a step: that of ``energy_steps`` first, then one per server of its result.

    Args:
        step: The step.
        result: Its result, or None.
        name: The tag ``step``: the step's name, or what stands for it; None for a scenario.
        now_ns: Until when a running step is shown.
    """
    tags = {"env": tag_name(step.env), "scenario": tag_name(step.scenario), "step": name}
    detail: Mapping[str, Any] = {} if result is None else result.detail
    end_ns = max(step.start_ns + PROVISIONAL_NS, now_ns) if step.end_ns is None else step.end_ns
    duration_s = None if step.end_ns is None else (step.end_ns - step.start_ns) / 1e9
    fields: dict[str, FieldValue | None] = {
        "run_id": step.run_id,
        "step_id": step.step_id,
        "parent_id": step.parent_id,
        "group": step.group,
        "title": title_of(step),
        "text": html_text(step, result),
        "tags": tag_list(step),
        "state": step.state,
        "newState": GRAFANA_STATES[step.state],
        "quality": "pending",
        "ci_url": safe_link(step.url),
        "commit": next((step.tags[key] for key in COMMIT_KEYS if key in step.tags), None),
        # Grafana draws what ends where it begins as a point, and in the Gantt as long as the pause after it.
        "time_end": max(end_ns // 1_000_000, step.start_ns // 1_000_000 + 1),
        "duration_s": duration_s,
        "depth": step.depth,
        "exit_code": step.exit_code,
        **{key: detail[key] for key in _ONLY_STEP if detail.get(key) is not None},
        **_numbers(detail),
    }
    level = "scenario" if step.step is None else "step"
    points = [Point(ENERGY_STEPS, {**tags, "level": level}, fields, step.start_ns)]
    ids: dict[str, FieldValue | None] = {
        "run_id": step.run_id,
        "step_id": step.step_id,
        "duration_s": duration_s,
    }
    for server, part in detail.get("per_server", {}).items():
        own = {**ids, "quality": part.get("quality"), **_numbers(part)}
        points.append(Point(ENERGY_STEP_SERVERS, {**tags, "server": server}, own, step.start_ns))
    return points


def mark_point(mark: Mark) -> Point:
    """Return the point of a mark."""
    tags = {
        "env": tag_name(mark.env),
        "scenario": None if mark.scenario is None else tag_name(mark.scenario),
        "kind": mark.kind,
    }
    fields: dict[str, FieldValue | None] = {
        "title": mark.title,
        "text": html.escape(mark.text or mark.title),
        "tags": "" if mark.server is None else f"server={mark.server}",
        "run_id": mark.run_id,
    }
    return Point(ENERGY_MARKS, tags, fields, mark.t_ns)


def _numbers(detail: Mapping[str, Any]) -> dict[str, FieldValue | None]:
    numbers = {name: detail[name] for name in _FROM_RESULT if detail.get(name) is not None}
    if "energy_j" in numbers:
        numbers["energy_wh"] = numbers["energy_j"] / 3600
    return numbers


def _present(point: Point) -> frozenset[str]:
    return frozenset(name for name, value in point.fields.items() if value is not None)
