"""Steps, runs and results as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from energyrecorder.clock import Clock
from energyrecorder_annotator.journal.base import StepWithResult, StoredResult


class Answer(Response):
    """JSON with every character as it is; what is not a finite number is null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return to_json(content, inf_nan_mode="null")


def timed(body: Mapping[str, Any], received_ns: int, clock: Clock) -> dict[str, Any]:
    """Return ``body`` with our clock at arrival and now, from which clients learn their offset."""
    return {**body, "received_ns": received_ns, "sent_ns": clock()}


def step_detail(found: StepWithResult, now_ns: int) -> dict[str, Any]:
    """Return everything about a step; a running one lasts until now."""
    step, result = found
    end_ns = now_ns if step.end_ns is None else step.end_ns
    return {
        **step.brief(),
        "outcome": step.state if step.ended_by is not None and step.state != "lost" else None,
        "exit_code": step.exit_code,
        "duration_s": max(0, end_ns - step.start_ns) / 1e9,
        "depth": step.depth,
        "implicit": step.implicit,
        "group": step.group,
        "title": step.title,
        "url": step.url,
        "tags": dict(step.tags),
        "work": step.work,
        "servers": None if step.servers is None else list(step.servers),
        "clock_error_ns": step.clock_error_ns,
        "quality": quality(result),
        "result": None if result is None else result.detail,
        "version": step.version,
    }


def run_brief(found: StepWithResult, now_ns: int) -> dict[str, Any]:
    """Return one line of the list of runs."""
    step, result = found
    end_ns = now_ns if step.end_ns is None else step.end_ns
    detail = {} if result is None else result.detail
    return {
        "run_id": step.run_id,
        "env": step.env,
        "scenario": step.scenario,
        "group": step.group,
        "title": step.title,
        "url": step.url,
        "tags": dict(step.tags),
        "state": step.state,
        "started_ns": step.start_ns,
        "ended_ns": step.end_ns,
        "duration_s": max(0, end_ns - step.start_ns) / 1e9,
        "energy_j": detail.get("energy_j"),
        "u95_j": detail.get("u95_j"),
        "avg_w": detail.get("avg_w"),
        "quality": quality(result),
        "reason": detail.get("reason"),
        "flags": list(step.flags),
    }


def quality(result: StoredResult | None) -> str:
    """Return the quality to show: ``pending`` until there is a result."""
    return "pending" if result is None else str(result.detail["quality"])
