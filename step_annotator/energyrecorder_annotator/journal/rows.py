"""Steps, marks and results as rows of the journal's tables, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from energyrecorder_annotator.journal.base import Mark, StoredResult
from energyrecorder_annotator.lifecycle import Step

STEP_COLUMNS = (
    "step_id, run_id, parent_id, env, scenario, step, run_group, state, start_ns, end_ns, started, ttl_s, "
    "version, detail"
)
MARK_COLUMNS = "mark_id, env, scenario, run_id, server, kind, t_ns, title, text"

_DETAIL = (
    "title",
    "url",
    "tags",
    "work",
    "servers",
    "implicit",
    "exit_code",
    "stop_ns",
    "stop_state",
    "ended_by",
    "start_claim",
    "depth",
    "clock_error_ns",
    "time_flags",
)
_TUPLES = ("servers", "time_flags")


def step_row(step: Step) -> tuple[Any, ...]:
    """Return the values of `STEP_COLUMNS`."""
    # Small: what is not given takes no room.
    detail = {name: value for name in _DETAIL if (value := getattr(step, name)) not in (None, (), {}, "")}
    return (
        step.step_id,
        step.run_id,
        step.parent_id,
        step.env,
        step.scenario,
        step.step,
        step.group,
        step.state,
        step.start_ns,
        step.end_ns,
        int(step.started),
        step.ttl_s,
        step.version,
        to_json(detail).decode(),
    )


def row_step(row: Sequence[Any]) -> Step:
    """Return the step that `STEP_COLUMNS` hold."""
    detail = from_json(row[13])
    for name in _TUPLES:
        if name in detail:
            detail[name] = tuple(detail[name])
    return Step(
        step_id=row[0],
        run_id=row[1],
        parent_id=row[2],
        env=row[3],
        scenario=row[4],
        step=row[5],
        group=row[6],
        state=row[7],
        start_ns=row[8],
        end_ns=row[9],
        started=bool(row[10]),
        ttl_s=row[11],
        version=row[12],
        **detail,
    )


def mark_row(mark: Mark) -> tuple[Any, ...]:
    """Return the values of `MARK_COLUMNS`."""
    return (
        mark.mark_id,
        mark.env,
        mark.scenario,
        mark.run_id,
        mark.server,
        mark.kind,
        mark.t_ns,
        mark.title,
        mark.text,
    )


def row_mark(row: Sequence[Any]) -> Mark:
    """Return the mark that `MARK_COLUMNS` hold."""
    mark_id, env, scenario, run_id, server, kind, t_ns, title, text = row
    return Mark(
        mark_id=mark_id,
        env=env,
        scenario=scenario,
        run_id=run_id,
        server=server,
        kind=kind,
        t_ns=t_ns,
        title=title,
        text=text,
    )


def row_result(samples: int | None, newest_ns: int | None, detail: str | None) -> StoredResult | None:
    """Return the result that a left join found, or None."""
    if samples is None or newest_ns is None or detail is None:
        return None
    return StoredResult(detail=from_json(detail), samples=samples, newest_ns=newest_ns)
