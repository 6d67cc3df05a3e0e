"""The route for many events at once, in order, each answered by itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError

from energyrecorder_annotator.api import bodies
from energyrecorder_annotator.api.answers import Answer, timed
from energyrecorder_annotator.api.bodies import Arrival, BatchBody, SpoolBody
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.errors import envelope, invalid, refusal
from energyrecorder_annotator.api.v1_steps import outcome_body
from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.lifecycle import StepRefusedError
from energyrecorder_annotator.lifecycle.events import Event
from energyrecorder_annotator.recording import NewMark
from energyrecorder_annotator.service import Service

router = APIRouter(prefix="/v1", tags=["steps"], default_response_class=Answer)

Refused = tuple[int, dict[str, Any]]


class _Target(BaseModel):
    step_id: bodies.StepId


class _Env(BaseModel):
    env: bodies.Name


@router.post("/batch")
async def batch(body: BatchBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """Events in their order; a bad item blocks nothing."""
    if body.spool is not None:
        _take_spool(body.spool, arrival.caller, service)
    # A nanosecond apart, so that events without a time of their own keep their order.
    read = [
        _read(item, Arrival(received_ns=arrival.received_ns + number, caller=arrival.caller, clock=body))
        for number, item in enumerate(body.items)
    ]
    events = [event for event in read if not isinstance(event, tuple)]
    outcomes = iter(await service.recorder.take_all(events, arrival.received_ns, arrival.caller))
    items = []
    for event in read:
        if isinstance(event, tuple):
            status, answer = event
        else:
            try:
                status, answer = outcome_body(event, next(outcomes), service)
            except StepRefusedError as error:
                status, answer = refusal(error)
        items.append({"status": status, **answer})
    return Answer(timed({"items": items}, arrival.received_ns, service.clock))


def _take_spool(told: SpoolBody, caller: Caller, service: Service) -> None:
    env = service.recorder.env(told.env)
    if caller.may_use(env):
        service.spools.take(env, told.size_bytes, told.oldest_s)


def _read(item: Any, arrival: Arrival) -> Event | NewMark | Refused:
    if not isinstance(item, dict):
        return 422, envelope("invalid_request", "an item must be an object")
    try:
        return _event(item, arrival)
    except ValidationError as error:
        return invalid(error.errors(include_url=False, include_input=False, include_context=False))
    except LookupError:
        return 422, envelope("invalid_request", "op: must be start, stop, step, mark, heartbeat or patch")


def _event(item: dict[str, Any], arrival: Arrival) -> Event | NewMark:
    match item.get("op"):
        case "start":
            return bodies.StartBody.model_validate(item).event(arrival)
        case "mark":
            return bodies.MarkBody.model_validate(item).event(arrival)
        case "step":
            return bodies.SetStepBody.model_validate(item).event(_Env.model_validate(item).env, arrival)
        case "stop":
            return bodies.StopBody.model_validate(item).event(_Target.model_validate(item).step_id, arrival)
        case "heartbeat":
            step_id = _Target.model_validate(item).step_id
            return bodies.HeartbeatBody.model_validate(item).event(step_id, arrival)
        case "patch":
            return bodies.PatchBody.model_validate(item).event(_Target.model_validate(item).step_id, arrival)
    raise LookupError(item.get("op"))
