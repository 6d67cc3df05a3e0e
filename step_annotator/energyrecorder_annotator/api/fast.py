"""The three routes that test farms call thousands of times a minute, past FastAPI's per-request machinery.

Their FastAPI twins in `energyrecorder_annotator.api.v1_steps` stay: they make the OpenAPI description, and
answer whatever is not plain here (a body that does not validate, another content type), so that each route
has one behaviour. Measured: FastAPI's own share was two thirds of the CPU time of such a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energyrecorder_annotator.api.answers import timed
from energyrecorder_annotator.api.bodies import Arrival, HeartbeatBody, StartBody, StopBody
from energyrecorder_annotator.api.errors import envelope, refusal
from energyrecorder_annotator.api.v1_steps import outcome_body
from energyrecorder_annotator.journal.base import JournalError
from energyrecorder_annotator.lifecycle import StepRefusedError
from energyrecorder_annotator.lifecycle.events import Event
from energyrecorder_annotator.service import Service

_STEPS = "/v1/steps"
_UNDER = "/v1/steps/"
_JSON = b"application/json"
_PARTS = 2

Read = Callable[[bytes, Arrival], Event]


class FastRoutes:
    """ASGI middleware behind `energyrecorder_annotator.api.gate.Gate`.

    Args:
        app: Answers all other requests.
        service: The parts that routes use.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        read = _reader(scope)
        if read is None:
            await self._app(scope, receive, send)
            return
        # The gate has the whole body: it comes in one message.
        message = await receive()
        state = scope["state"]
        arrival = Arrival(received_ns=state["received_ns"], caller=state["caller"])
        try:
            event = read(message.get("body", b""), arrival)
        except (ValidationError, ValueError):
            await self._app(scope, _again(message, receive), send)
            return
        status, body = await self._take(event, arrival)
        raw = to_json(body, inf_nan_mode="null")
        length = str(len(raw)).encode()
        headers = [(b"content-type", _JSON), (b"content-length", length)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": raw})

    async def _take(self, event: Event, arrival: Arrival) -> tuple[int, dict[str, Any]]:
        service = self._service
        try:
            outcome = await service.recorder.take(event, arrival.received_ns, arrival.caller)
            status, body = outcome_body(event, outcome, service)
        except StepRefusedError as error:
            return refusal(error)
        except JournalError as error:
            return 503, envelope("journal_unavailable", str(error))
        return status, timed(body, arrival.received_ns, service.clock)


def _reader(scope: Scope) -> Read | None:
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path: str = scope["path"]
    if not path.startswith(_STEPS) or not _is_json(scope):
        return None
    return _start if path == _STEPS else _reader_of_one(path)


def _reader_of_one(path: str) -> Read | None:
    parts = path[len(_UNDER) :].split("/")
    if len(parts) != _PARTS or not parts[0]:
        return None
    step_id, verb = parts
    if verb == "stop":
        return lambda raw, arrival: StopBody.model_validate_json(raw).event(step_id, arrival)
    if verb == "heartbeat":
        return lambda raw, arrival: HeartbeatBody.model_validate_json(raw).event(step_id, arrival)
    return None


def _start(raw: bytes, arrival: Arrival) -> Event:
    return StartBody.model_validate_json(raw).event(arrival)


def _is_json(scope: Scope) -> bool:
    return any(name == b"content-type" and value.startswith(_JSON) for name, value in scope["headers"])


def _again(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
