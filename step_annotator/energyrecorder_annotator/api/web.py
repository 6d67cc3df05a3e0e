"""The route of the web page."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.paging import read_cursor
from energyrecorder_annotator.journal.base import StepQuery
from energyrecorder_annotator.web.overview import overview
from energyrecorder_annotator.web.page import CONTENT_SECURITY_POLICY, render

router = APIRouter(tags=["web"])

PAGE_RUNS = 50


@router.get("/", response_class=HTMLResponse)
async def page(
    arrival: ArrivalDep,
    service: ServiceDep,
    env: str = "",
    scenario: str = "",
    state: Literal["", "running", "passed", "failed", "aborted", "lost"] = "",
    cursor: str = "",
    refresh: Literal["", "1"] = "",
) -> HTMLResponse:
    """A page for people: servers now, and runs, newest first; a parameter may be empty, as forms send it."""
    query = StepQuery(
        env=env or None,
        scenario=scenario or None,
        state=state or None,
        roots=True,
        limit=PAGE_RUNS,
        after=read_cursor(cursor),
        envs=arrival.caller.envs,
    )
    shown = await asyncio.to_thread(overview, service, query, arrival.caller)
    text = await asyncio.to_thread(render, shown, refresh=bool(refresh))
    return HTMLResponse(text, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})
