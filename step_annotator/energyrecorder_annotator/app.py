"""Wires routes, errors and the gate into one ASGI application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from energyrecorder_annotator.api import errors, health, v1_batch, v1_power, v1_runs, v1_steps
from energyrecorder_annotator.api.gate import Gate
from energyrecorder_annotator.service import Service


def build_app(service: Service) -> ASGIApp:
    """Return the application that serves ``service``."""
    app = FastAPI(
        title="energy-annotator", description="What ran when, and how much energy it took.", redoc_url=None
    )
    app.state.service = service
    errors.install(app)
    for module in (v1_steps, v1_batch, v1_runs, v1_power, health):
        app.include_router(module.router)
    return Gate(app, token=service.config.token, clock=service.clock)
