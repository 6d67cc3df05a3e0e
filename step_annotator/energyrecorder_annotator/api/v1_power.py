"""The route that shows power over time."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from energyrecorder_annotator.api.answers import Answer, timed
from energyrecorder_annotator.api.bodies import TimeNs
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.errors import ApiError
from energyrecorder_annotator.service import Service

router = APIRouter(prefix="/v1", tags=["power"], default_response_class=Answer)

HOUR_NS = 3600 * 1_000_000_000


@router.get("/power")
async def power(
    arrival: ArrivalDep,
    service: ServiceDep,
    env: Annotated[list[str] | None, Query()] = None,
    server: Annotated[list[str] | None, Query()] = None,
    from_: Annotated[TimeNs | None, Query(alias="from")] = None,
    to: TimeNs | None = None,
    max_points: Annotated[int, Query(ge=1, le=10_000)] = 500,
) -> Answer:
    """Power, down-sampled: mean, least and greatest of each span; the last hour unless told otherwise."""
    to_ns = service.clock() if to is None else to
    from_ns = to_ns - HOUR_NS if from_ is None else from_
    if from_ns >= to_ns:
        raise ApiError(422, "invalid_request", "from: must be before to")
    filters = {name: values for name, values in (("env", env), ("server", server)) if values}
    found = await asyncio.to_thread(service.samples.power, filters, from_ns, to_ns, max_points)
    found = [one for one in found if arrival.caller.may_use(one.env)]
    places = await asyncio.to_thread(_places, service, {one.env for one in found}, from_ns, to_ns)
    series = [
        {
            "env": one.env,
            "server": one.server,
            "scope": one.scope,
            "part": one.part,
            "place": places.get((one.env, one.server), {}),
            "points": one.points,
        }
        for one in found
    ]
    return Answer(timed({"series": series}, arrival.received_ns, service.clock))


def _places(
    service: Service, envs: set[str], from_ns: int, to_ns: int
) -> dict[tuple[str, str], dict[str, str]]:
    return {
        (env, server): place
        for env in envs
        for server, place in service.samples.places(env, from_ns, to_ns).items()
    }
