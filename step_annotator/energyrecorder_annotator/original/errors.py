"""Errors as the original API words them: ``{"message"}``, and ``{"errors", "message"}`` for a bad body."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from energyrecorder_annotator.api.answers import Answer
from energyrecorder_annotator.journal.base import JournalError
from energyrecorder_annotator.lifecycle import StepRefusedError

_log = logging.getLogger(__name__)

_NO_JSON = "The browser (or proxy) sent a request that this server could not understand."
_TYPES = {"string_type": "string", "int_type": "integer", "list_type": "array", "model_type": "object"}
_MOST_SHOWN = 100


class OriginalError(Exception):
    """A request that the original API answers with a message alone."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def install(app: FastAPI) -> None:
    """Make every error of ``app`` look as the original's."""

    @app.exception_handler(OriginalError)
    async def _original(_request: Request, error: OriginalError) -> Answer:
        return Answer({"message": str(error)}, error.status)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Answer:
        problems = error.errors()
        if any(problem["type"] == "json_invalid" for problem in problems):
            return Answer({"message": _NO_JSON}, 400)
        found = dict(map(_problem, problems))
        return Answer({"errors": found, "message": "Input payload validation failed"}, 400)

    @app.exception_handler(StepRefusedError)
    async def _refused(_request: Request, error: StepRefusedError) -> Answer:
        return Answer({"message": str(error)}, 409)

    @app.exception_handler(JournalError)
    async def _journal(_request: Request, error: JournalError) -> Answer:
        _log.error("%s", error)
        return Answer({"message": str(error)}, 500)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Answer:
        return Answer({"message": str(error.detail)}, error.status_code, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> Answer:
        return Answer({"message": "An unhandled exception occurred."}, 500)


def _problem(problem: dict[str, Any]) -> tuple[str, str]:
    """Return field and complaint, in the words of the original's JSON schema checks."""
    location = [str(part) for part in problem["loc"] if part not in {"body", "query", "path"}]
    field = ".".join(location).encode("utf-8", "replace").decode()
    if problem["type"] == "missing":
        return field, f"'{location[-1]}' is a required property" if location else _NO_JSON
    wanted = _TYPES.get(problem["type"])
    if wanted is not None:
        return field, f"{_shown(problem['input'])} is not of type '{wanted}'"
    return field, str(problem["msg"]).removeprefix("Value error, ")


def _shown(value: object) -> str:
    return repr(value)[:_MOST_SHOWN].encode("utf-8", "replace").decode()
