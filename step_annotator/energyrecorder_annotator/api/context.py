"""What routes get handed: the service's parts, and when the request came."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from energyrecorder_annotator.api.bodies import Arrival
from energyrecorder_annotator.service import Service


async def _service(request: Request) -> Service:
    return cast("Service", request.app.state.service)


async def _arrival(request: Request) -> Arrival:
    return Arrival(received_ns=request.state.received_ns, caller=request.state.caller)


ServiceDep = Annotated[Service, Depends(_service)]
ArrivalDep = Annotated[Arrival, Depends(_arrival)]
