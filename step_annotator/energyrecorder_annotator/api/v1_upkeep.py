"""Routes for operators: compute results anew, and see what sinks have not taken."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from energyrecorder_annotator.api.answers import Answer, timed
from energyrecorder_annotator.api.bodies import Name, StepId, TimeNs
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.errors import ApiError
from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.journal.base import StepQuery

router = APIRouter(prefix="/v1", tags=["upkeep"], default_response_class=Answer)

MOST_LETTERS = 1000


class RecomputeBody(BaseModel):
    """Which steps; at least one key, and a step must fit them all."""

    model_config = ConfigDict(extra="forbid")

    run_id: StepId | None = None
    step_id: StepId | None = None
    env: Name | None = None
    scenario: Name | None = None
    step: Name | None = None
    group: Name | None = None
    from_: Annotated[TimeNs | None, Field(alias="from")] = None
    to: TimeNs | None = None


@router.post("/recompute", status_code=202)
async def recompute(body: RecomputeBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """Results are computed anew from the readings there are now; the present ones stay until then."""
    if not body.model_fields_set:
        raise ApiError(422, "invalid", "name at least one of run_id, step_id, env, scenario, from, to")
    _refuse_bound(arrival.caller, body.env)
    values = body.model_dump(exclude={"from_", "to"})
    query = StepQuery(**values, from_ns=body.from_, to_ns=body.to)
    now_ns = service.clock()
    work = service.journal.submit(lambda transaction: transaction.look_again(query, now_ns))
    count = await asyncio.wrap_future(work)
    return Answer(timed({"steps": count}, arrival.received_ns, service.clock), 202)


@router.get("/sinks")
async def sinks(arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """How each sink is, how much waits for it, and what it will never take, newest first."""
    _refuse_bound(arrival.caller, None)
    statuses = [await asyncio.to_thread(delivery.status) for delivery in service.deliveries]
    letters = await asyncio.to_thread(service.journal.dead_letters, MOST_LETTERS)
    body = {
        "sinks": [asdict(status) for status in statuses],
        "dead_letters": [asdict(letter) for letter in letters],
    }
    return Answer(timed(body, arrival.received_ns, service.clock))


def _refuse_bound(caller: Caller, env: str | None) -> None:
    """Refuse a caller bound to environments what concerns others.

    Raises:
        ApiError: It does (``forbidden``).
    """
    if caller.envs is not None and (env is None or not caller.may_use(env)):
        raise ApiError(403, "forbidden", "this token is bound to environments; name one of them")
