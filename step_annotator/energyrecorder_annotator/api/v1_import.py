"""The route that makes steps of files which other tools wrote."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from energyrecorder_annotator.api import bodies
from energyrecorder_annotator.api.answers import Answer, timed
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.errors import ApiError
from energyrecorder_annotator.junit.events import Target, digest_of, junit_events
from energyrecorder_annotator.junit.parse import JUnitError, parse_junit
from energyrecorder_annotator.junit.place import Placed, place, read_zone
from energyrecorder_annotator.lifecycle import Start, StepRefusedError, Stop

router = APIRouter(prefix="/v1/import", tags=["steps"], default_response_class=Answer)


@router.post("/junit", status_code=201)
async def junit(
    request: Request,
    arrival: ArrivalDep,
    service: ServiceDep,
    env: bodies.Name,
    scenario: bodies.Name | None = None,
    group: bodies.Name | None = None,
    tz: str | None = None,
    ended_at: bodies.TimeNs | None = None,
    servers: Annotated[list[bodies.ServerPattern] | None, Query()] = None,
) -> Answer:
    """Suites and cases of a JUnit file (the body) become steps; the same file again changes nothing (200).

    ``tz`` is the zone of time stamps without one; ``ended_at`` counts where there is no time stamp at all.
    """
    raw = await request.body()
    target = Target(env, scenario, group, tuple(servers) if servers else None, digest_of(raw))
    ended_s = None if ended_at is None else ended_at / 1e9
    try:
        placed = await asyncio.to_thread(_placed, raw, tz, ended_s)
    except JUnitError as error:
        raise ApiError(422, "invalid_junit", str(error)) from None
    events = junit_events(placed, target)
    outcomes = await service.recorder.take_all(events, arrival.received_ns, arrival.caller)
    refused = next((outcome for outcome in outcomes if isinstance(outcome, StepRefusedError)), None)
    if refused is not None and refused.code == "conflict":
        raise ApiError(409, refused.code, f"imported before with other times: {refused}", refused.details)
    if refused is not None:
        raise refused
    new = sum(
        isinstance(event, Start) and not isinstance(outcome, StepRefusedError) and outcome.new
        for event, outcome in zip(events, outcomes, strict=True)
    )
    body = _body(placed, events, new)
    return Answer(timed(body, arrival.received_ns, service.clock), 201 if new else 200)


def _placed(raw: bytes, tz: str | None, ended_s: float | None) -> list[Placed]:
    zone = None if tz is None else read_zone(tz)
    return place(parse_junit(raw), zone=zone, ended_s=ended_s)


def _body(placed: list[Placed], events: list[Start | Stop], new: int) -> dict[str, Any]:
    root, end = events[0], events[-1]
    return {
        "run_id": root.step_id,
        "env": root.env,
        "scenario": root.scenario,
        "steps": len(placed),
        "new": new,
        "started_ns": root.time.t_ns,
        "ended_ns": end.time.t_ns,
        "flags": sorted({flag for step in placed for flag in step.flags}),
    }
