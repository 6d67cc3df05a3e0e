"""A BMC's web server that answers what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from energyrecorder_execd.readers.base import Target
from support.targets import target_of

Respond = Callable[[web.Request], web.StreamResponse | None]


@dataclass
class Scripted:
    """What the server knows.

    Args:
        documents: Path → body of a GET; another path is 404.
        respond: Answers first; None leaves the request to ``documents``.
    """

    documents: Mapping[str, Any]
    respond: Respond = lambda _request: None
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def target(self, **changes: Any) -> Target:
        """Return the fleet file's view of this server."""
        return target_of(**{"port": self.port, **changes})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.asked.append((request.method, request.path_qs))
        self.headers.append(dict(request.headers))
        answer = self.respond(request)
        if answer is not None:
            return answer
        if request.method == "GET" and request.path in self.documents:
            return web.json_response(self.documents[request.path])
        return web.json_response({"error": {}}, status=404)


@contextlib.asynccontextmanager
async def scripted(
    documents: Mapping[str, Any], respond: Respond = lambda _request: None, *, ssl_context: Any = None
) -> AsyncIterator[Scripted]:
    """Run a scripted server on loopback."""
    server = Scripted(documents, respond)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
        await site.start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()


def session_made(
    token: str = "t0ken", location: str = "/redfish/v1/SessionService/Sessions/1"
) -> web.Response:
    """Return the answer to a log-in that succeeded."""
    return web.json_response({}, status=201, headers={"X-Auth-Token": token, "Location": location})
