"""Wires routes, errors and the gate into one ASGI application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from energyrecorder_annotator.api import (
    errors,
    health,
    metrics,
    v1_batch,
    v1_compare,
    v1_import,
    v1_power,
    v1_runs,
    v1_samples,
    v1_steps,
    v1_upkeep,
    web,
)
from energyrecorder_annotator.api.docs_page import add_docs
from energyrecorder_annotator.api.fast import FastRoutes
from energyrecorder_annotator.api.gate import Gate
from energyrecorder_annotator.api.original_paths import is_original, without_prefix
from energyrecorder_annotator.original.app import build_original_app
from energyrecorder_annotator.service import Service

ROUTES = (
    v1_steps,
    v1_batch,
    v1_import,
    v1_samples,
    v1_runs,
    v1_compare,
    v1_power,
    v1_upkeep,
    health,
    metrics,
    web,
)


def build_app(service: Service) -> ASGIApp:
    """Return the application that serves ``service``."""
    app = FastAPI(
        title="energy-annotator",
        description="What ran when, and how much energy it took.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    errors.install(app)
    for module in ROUTES:
        app.include_router(module.router)
    add_docs(app, "/docs", "openapi.json")
    both = _Both(FastRoutes(app, service), build_original_app(service))
    return Gate(both, guard=service.guard, clock=service.clock)


class _Both:
    """Hands requests to the original API or to ours, by their path."""

    def __init__(self, ours: ASGIApp, original: ASGIApp) -> None:
        self._ours = ours
        self._original = original

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_original(scope["path"]):
            await self._ours(scope, receive, send)
            return
        path = without_prefix(scope["path"])
        if path in {"/doc", "/resources", "/"}:
            path = "/doc/"
        await self._original({**scope, "path": path, "raw_path": path.encode()}, receive, send)
