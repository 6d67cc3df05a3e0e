"""What every request passes first: time of arrival, token, size limits; and headers on the way out."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energyrecorder.clock import Clock
from energyrecorder.secret import Secret
from energyrecorder_annotator.api.answers import Answer
from energyrecorder_annotator.api.errors import envelope

MAX_BODY_BYTES = 64 * 1024
MAX_BATCH_BYTES = 4 * 1024 * 1024
DRAIN_S = 2.0
DRAIN_BYTES = 8 * 1024 * 1024
"""So long and so much of a body that is too large is read and dropped after the answer."""
_BIG = frozenset({"/v1/batch"})
_OPEN = frozenset({"/healthz", "/readyz"})
_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Gate:
    """ASGI middleware; puts ``received_ns`` into the scope's state.

    Args:
        app: What comes behind.
        token: Bearer token that callers must send; None = none needed. Health checks need none.
        clock: Our wall clock.
    """

    def __init__(self, app: ASGIApp, *, token: Secret | None, clock: Clock) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token.reveal()}".encode()
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["received_ns"] = self._clock()
        headers = Headers(scope=scope)
        if not self._is_allowed(scope["path"], headers):
            answer = Answer(
                envelope("unauthorized", "a valid bearer token is needed"),
                401,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await answer(scope, receive, send)
            return
        limit = MAX_BATCH_BYTES if scope["path"] in _BIG else MAX_BODY_BYTES
        body = await _whole_body(receive, limit)
        if body is None:
            await _refuse_large(limit, receive, send)
            return
        await self._app(scope, _replayed(body, receive), _dressed(send))

    def _is_allowed(self, path: str, headers: Headers) -> bool:
        if self._expected is None or path in _OPEN:
            return True
        sent = headers.get("authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(sent, self._expected)


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


def _dressed(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            outgoing = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                outgoing.setdefault(name, value)
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
