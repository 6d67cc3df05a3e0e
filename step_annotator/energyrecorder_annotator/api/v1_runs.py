"""Routes that show steps, runs and reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from energyrecorder_annotator.api.answers import Answer, run_brief, step_detail, timed
from energyrecorder_annotator.api.bodies import TimeNs
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.errors import ApiError
from energyrecorder_annotator.api.paging import next_cursor, read_cursor
from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.journal.base import StepQuery, StepWithResult
from energyrecorder_annotator.run_report import report_headers, run_report
from energyrecorder_annotator.service import Service

router = APIRouter(prefix="/v1", tags=["runs"], default_response_class=Answer)


async def _query(
    arrival: ArrivalDep,
    env: str | None = None,
    scenario: str | None = None,
    state: Literal["running", "passed", "failed", "aborted", "lost"] | None = None,
    group: str | None = None,
    from_: Annotated[TimeNs | None, Query(alias="from")] = None,
    to: TimeNs | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> StepQuery:
    """Return what steps and runs are both selected by, within what the caller may see."""
    return StepQuery(
        env=env,
        scenario=scenario,
        state=state,
        group=group,
        from_ns=from_,
        to_ns=to,
        limit=limit,
        after=read_cursor(cursor),
        envs=arrival.caller.envs,
    )


QueryDep = Annotated[StepQuery, Depends(_query)]


@router.get("/steps")
async def steps(arrival: ArrivalDep, service: ServiceDep, query: QueryDep, step: str | None = None) -> Answer:
    """Steps and scenarios, newest first."""
    return await _page("steps", step_detail, replace(query, step=step), arrival, service)


@router.get("/runs")
async def runs(arrival: ArrivalDep, service: ServiceDep, query: QueryDep) -> Answer:
    """Runs (roots), newest first."""
    return await _page("runs", run_brief, replace(query, roots=True), arrival, service)


async def _page(
    key: str,
    shown: Callable[[StepWithResult, int], dict[str, Any]],
    query: StepQuery,
    arrival: ArrivalDep,
    service: Service,
) -> Answer:
    """Answer one page; one row more than asked for tells whether there is a next one."""
    found = await asyncio.to_thread(service.journal.list_steps, replace(query, limit=query.limit + 1))
    now_ns = service.clock()
    body = {
        key: [shown(pair, now_ns) for pair in found[: query.limit]],
        "next_cursor": next_cursor(found, query.limit),
    }
    return Answer(timed(body, arrival.received_ns, service.clock))


@router.get("/runs/{run_id}")
async def run(run_id: str, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """One run with its steps, ordered by start."""
    body = await _run_body(run_id, service, arrival.caller)
    return Answer(timed(body, arrival.received_ns, service.clock))


@router.get("/runs/{run_id}/report.{kind}")
async def report(
    run_id: str, kind: Literal["json", "md", "html", "xml", "svg"], arrival: ArrivalDep, service: ServiceDep
) -> Response:
    """One run as a report."""
    body = await _run_body(run_id, service, arrival.caller)
    if kind == "json":
        return Answer(body)
    write = partial(
        run_report, body, kind, journal=service.journal, samples=service.samples, now_ns=service.clock()
    )
    text = await asyncio.to_thread(write)
    return Response(text, headers=report_headers(kind))


async def _run_body(run_id: str, service: Service, caller: Caller) -> dict[str, Any]:
    found: list[StepWithResult] = await asyncio.to_thread(service.journal.run_steps, run_id)
    root = next((pair for pair in found if pair[0].step_id == run_id), None)
    if root is None or not caller.may_use(root[0].env):
        raise ApiError(404, "unknown_run", f"no run {run_id!r}")
    now_ns = service.clock()
    return {
        "run": step_detail(root, now_ns),
        "steps": [step_detail(pair, now_ns) for pair in found if pair is not root],
    }
