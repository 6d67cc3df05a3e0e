"""One envelope for every error: ``{"error": {"code", "message", "details"}}``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from energyrecorder_annotator.api.answers import Answer
from energyrecorder_annotator.journal.base import JournalError
from energyrecorder_annotator.lifecycle import StepRefusedError
from energyrecorder_annotator.samples.base import SampleStoreError

_log = logging.getLogger(__name__)

REFUSALS = {
    "unknown_step": 404,
    "no_open_run": 404,
    "several_open_runs": 409,
    "conflict": 409,
    "forbidden_env": 403,
    "too_many_open_steps": 429,
}
"""HTTP status of each `StepRefusedError.code`."""
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
}
_MOST_PROBLEMS = 20
_MOST_FIELD_CHARACTERS = 200


class ApiError(Exception):
    """A request that cannot be answered as asked."""

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = envelope(code, message, details)["error"]


def envelope(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"code": code, "message": message, "details": dict(details or {})}}


def refusal(error: StepRefusedError) -> tuple[int, dict[str, Any]]:
    """Return status and body for an event that was refused."""
    return REFUSALS[error.code], envelope(error.code, str(error), error.details)


def invalid(problems: Sequence[Any]) -> tuple[int, dict[str, Any]]:
    """Return status and body for a body or query that pydantic refused.

    Args:
        problems: As pydantic lists them; what was sent is not repeated.
    """
    shown = [
        {"field": _field(problem["loc"]), "problem": _complaint(problem)}
        for problem in problems[:_MOST_PROBLEMS]
    ]
    if any(problem["type"] == "json_invalid" for problem in problems):
        return 400, envelope("invalid_json", "the body is not JSON", {"problems": shown})
    first = f"{shown[0]['field'] or 'body'}: {shown[0]['problem']}" if shown else "invalid request"
    return 422, envelope("invalid_request", first, {"problems": shown})


def _complaint(problem: Any) -> str:
    if problem["type"] == "model_attributes_type":
        # What curl sends without the header is a text for FastAPI.
        return "must be a JSON object, sent with Content-Type: application/json"
    return str(problem["msg"]).removeprefix("Value error, ")


def _field(location: Sequence[str | int]) -> str:
    parts = (str(part) for part in location if part not in {"body", "query"})
    return ".".join(parts).encode("utf-8", "replace").decode()[:_MOST_FIELD_CHARACTERS]


def install(app: FastAPI) -> None:
    """Make every error of ``app`` come in the envelope."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Answer:
        status, body = invalid(error.errors())
        return Answer(body, status)

    @app.exception_handler(StepRefusedError)
    async def _refused(_request: Request, error: StepRefusedError) -> Answer:
        status, body = refusal(error)
        return Answer(body, status)

    @app.exception_handler(ApiError)
    async def _api(_request: Request, error: ApiError) -> Answer:
        return Answer({"error": error.error}, error.status)

    @app.exception_handler(JournalError)
    async def _journal(_request: Request, error: JournalError) -> Answer:
        _log.error("%s", error)
        return Answer(envelope("journal_unavailable", str(error)), 503)

    @app.exception_handler(SampleStoreError)
    async def _samples(_request: Request, error: SampleStoreError) -> Answer:
        _log.error("%s", error)
        return Answer(envelope("samples_unavailable", str(error)), 503)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Answer:
        code = _CODES.get(error.status_code, "error")
        return Answer(envelope(code, str(error.detail)), error.status_code, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> Answer:
        # The server logs the error with its traceback.
        return Answer(envelope("internal", "unexpected error; see the annotator's log"), 500)
