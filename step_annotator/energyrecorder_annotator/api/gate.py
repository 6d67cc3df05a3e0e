"""What every request passes first: time of arrival, who calls, limits; and headers on the way out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energyrecorder.clock import Clock
from energyrecorder_annotator.api.answers import Answer
from energyrecorder_annotator.api.errors import envelope
from energyrecorder_annotator.api.original_paths import is_original
from energyrecorder_annotator.auth.caller import ADMIN, ANYBODY, READ, WRITE
from energyrecorder_annotator.auth.guard import Guard

MAX_BODY_BYTES = 64 * 1024
MAX_BATCH_BYTES = 4 * 1024 * 1024
BODY_S = 30.0
"""A body that takes longer to arrive is not waited for."""
DRAIN_S = 2.0
DRAIN_BYTES = 8 * 1024 * 1024
"""So long and so much of a body that is too large is read and dropped after the answer."""
_LIMITS = {
    "/v1/batch": MAX_BATCH_BYTES,
    "/v1/samples": MAX_BATCH_BYTES,
    "/v1/import/junit": MAX_BATCH_BYTES,
}
_OPEN = frozenset({"/healthz", "/readyz"})
_ADMIN = frozenset({"/v1/recompute", "/v1/sinks"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKING = frozenset({"/v1/gate"})
"""Paths that take a body and change nothing."""
_HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_CORS = {"Access-Control-Allow-Origin": "*"}


class Gate:
    """ASGI middleware; puts ``received_ns`` and ``caller`` into the scope's state.

    Args:
        app: What comes behind.
        guard: Knows who calls. Health checks need no token.
        clock: Our wall clock.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard, clock: Clock) -> None:
        self._app = app
        self._guard = guard
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["received_ns"] = self._clock()
        state["caller"] = ANYBODY
        path = scope["path"]
        dressed = _dressed(send)
        if path not in _OPEN:
            refused = self._refused(scope, path)
            if refused is not None:
                await refused(scope, receive, dressed)
                return
        limit = _LIMITS.get(path, MAX_BODY_BYTES)
        try:
            async with asyncio.timeout(BODY_S):
                body = await _whole_body(receive, limit)
        except TimeoutError:
            message = f"the body did not arrive within {BODY_S:g} s"
            await Answer(envelope("too_slow", message), 408, {"Connection": "close"})(scope, receive, dressed)
            return
        if body is None:
            await _refuse_large(limit, receive, dressed)
            return
        await self._app(scope, _replayed(body, receive), dressed)

    def _refused(self, scope: Scope, path: str) -> Answer | None:
        """Return the answer to a caller that may not do this, or None after noting who it is."""
        original = is_original(path)
        cors = _CORS if original else {}
        method = scope["method"]
        if original and method == "OPTIONS":
            # A browser's question whether it may ask; it cannot carry a token.
            return None
        guard = self._guard
        address = scope["client"][0] if scope.get("client") else ""
        basic = original or method in _READING
        caller = guard.caller(_authorization(scope), address, basic=basic)
        wait_s = guard.wait_s(address) if caller is None else 0.0
        if wait_s:
            message = "too many refused requests from this address"
            return _refusal(429, "too_many_requests", message, {"Retry-After": str(int(wait_s) + 1), **cors})
        if caller is None:
            kind = "Bearer" if path.startswith("/v1/") else 'Basic realm="energyrecorder", charset="UTF-8"'
            return _refusal(
                401, "unauthorized", "a valid token is needed", {"WWW-Authenticate": kind, **cors}
            )
        if guard.is_over_rate(address if caller is ANYBODY else caller.name):
            return _refusal(429, "too_many_requests", "too many requests", {"Retry-After": "1", **cors})
        needed = ADMIN if path in _ADMIN else READ if method in _READING or path in _ASKING else WRITE
        if not caller.may(needed):
            return _refusal(403, "forbidden", f"this token lacks the scope {needed!r}", cors)
        scope["state"]["caller"] = caller
        return None


def _refusal(status: int, code: str, message: str, headers: dict[str, str]) -> Answer:
    return Answer(envelope(code, message), status, headers)


def _authorization(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            text: str = value.decode("utf-8", "replace")
            return text
    return ""


async def _whole_body(receive: Receive, limit: int) -> bytes | None:
    """Return the body, or None once it is larger than ``limit``; b"" too when the client went away."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def _dressed(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {name for name, _ in headers}
            message["headers"] = headers + [pair for pair in _HEADERS if pair[0] not in present]
        await send(message)

    return dressed


async def _refuse_large(limit: int, receive: Receive, send: Send) -> None:
    """Answer 413 at once, then read on for a while before the connection is closed.

    A client that is cut off while it still sends sees a broken connection instead of the answer.
    """
    message = f"the body is larger than {limit} bytes"
    answer = Answer(
        envelope("too_large", message, {"limit_bytes": limit}), 413, headers={"Connection": "close"}
    )
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            drained = 0
            more = True
            while more and drained <= DRAIN_BYTES:
                part = await receive()
                drained += len(part.get("body", b""))
                more = part.get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
