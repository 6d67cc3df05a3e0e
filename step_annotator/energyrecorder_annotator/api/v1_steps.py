"""Routes by which steps and marks come in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from energyrecorder_annotator.api.answers import Answer, timed
from energyrecorder_annotator.api.bodies import (
    HeartbeatBody,
    MarkBody,
    PatchBody,
    SetStepBody,
    StartBody,
    StopBody,
)
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.sample_state import sample_state
from energyrecorder_annotator.lifecycle import Heartbeat, Patch, SetStep, Start, StepRefusedError, Stop
from energyrecorder_annotator.lifecycle.events import Event
from energyrecorder_annotator.recording import MarkTaken, NewMark, Outcome
from energyrecorder_annotator.service import Service

router = APIRouter(prefix="/v1", tags=["steps"], default_response_class=Answer)

_NEW = {Start: 201, SetStep: 201, Stop: 202, Heartbeat: 200, Patch: 200, NewMark: 201}


def outcome_body(event: Event | NewMark, outcome: Outcome, service: Service) -> tuple[int, dict[str, Any]]:
    """Return status and body for an event that was taken.

    Raises:
        StepRefusedError: It was not.
    """
    if isinstance(outcome, StepRefusedError):
        raise outcome
    status = _NEW[type(event)] if outcome.new else 200
    if isinstance(outcome, MarkTaken):
        mark = outcome.mark
        return status, {"mark_id": mark.mark_id, "run_id": mark.run_id, "env": mark.env, "t_ns": mark.t_ns}
    body = outcome.step.brief()
    if isinstance(event, (Start, SetStep)):
        body.update(sample_state(outcome.step, service.freshness, service.clock()))
    return status, body


async def _take(event: Event | NewMark, arrival: ArrivalDep, service: Service) -> Answer:
    outcome = await service.recorder.take(event, arrival.received_ns, arrival.caller)
    status, body = outcome_body(event, outcome, service)
    return Answer(timed(body, arrival.received_ns, service.clock), status)


@router.post("/steps", status_code=201)
async def start(body: StartBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """A step or, without ``step``, a scenario begins; the same id again changes nothing (200)."""
    return await _take(body.event(arrival), arrival, service)


@router.post("/steps/{step_id}/stop", status_code=202)
async def stop(step_id: str, body: StopBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """A step ends; the first stop wins. With ``env`` and ``scenario`` it may come before its start."""
    return await _take(body.event(step_id, arrival), arrival, service)


@router.post("/steps/{step_id}/heartbeat")
async def heartbeat(
    step_id: str, arrival: ArrivalDep, service: ServiceDep, body: HeartbeatBody | None = None
) -> Answer:
    """A step is still running."""
    return await _take((body or HeartbeatBody()).event(step_id, arrival), arrival, service)


@router.patch("/steps/{step_id}")
async def patch(step_id: str, body: PatchBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """More about a step: tags are merged, the rest replaces."""
    return await _take(body.event(step_id, arrival), arrival, service)


@router.post("/envs/{env:path}/step", status_code=201)
async def set_step(env: str, body: SetStepBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """The open implicit step of a run ends and the next begins."""
    return await _take(body.event(env, arrival), arrival, service)


@router.post("/marks", status_code=201)
async def mark(body: MarkBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """An instant note."""
    return await _take(body.event(arrival), arrival, service)
