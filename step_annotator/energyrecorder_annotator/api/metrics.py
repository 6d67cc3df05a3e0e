"""The route that Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from energyrecorder_annotator.api.context import ServiceDep
from energyrecorder_annotator.metrics import metrics_text

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
async def metrics(service: ServiceDep, request: Request) -> Response:
    """Counters and gauges in Prometheus' or OpenMetrics' text format."""
    text, content_type = metrics_text(service, request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type})
