"""Routes by which a supervisor sees how the annotator is."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from energyrecorder_annotator.api.answers import Answer
from energyrecorder_annotator.api.context import ServiceDep
from energyrecorder_annotator.journal.base import Journal

router = APIRouter(tags=["health"], default_response_class=Answer)


async def prove_writable(journal: Journal) -> None:
    """See that the journal takes a write.

    Raises:
        JournalError: It does not.
    """
    await asyncio.wrap_future(journal.submit(lambda transaction: transaction.probe()))


@router.get("/healthz")
async def healthz(service: ServiceDep) -> Answer:
    """The process is alive; what its plugins and its sample store do."""
    plugins = [
        {
            "name": host.name,
            "running": host.running,
            "restarts": host.restarts,
            "points": host.points,
            "bad_lines": host.bad_lines,
        }
        for host in service.hosts
    ]
    samples = {"stored": service.intake.stored, "dropped": service.intake.dropped}
    return Answer({"status": "ok", "plugins": plugins, "samples": samples})


@router.get("/readyz")
async def readyz(service: ServiceDep) -> Answer:
    """The journal can be written (503 in the error envelope when it cannot); a sink away is ``degraded``."""
    await prove_writable(service.journal)
    away = sorted(delivery.sink.name for delivery in service.deliveries if delivery.error is not None)
    return Answer({"status": "degraded" if away else "ready", "away": away})
