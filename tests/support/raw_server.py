"""A server on loopback that writes bytes as a test says, and keeps what each of its connections was sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from energyrecorder_execd.readers.base import Target
from support.targets import target_of

Serve = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """One connection, while it is served.

    Args:
        number: 0 for the first connection of the server.
        reader: From the client.
        writer: To the client.
        heads: Requests without their bodies.
    """

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heads: list[str]

    async def request(self) -> str:
        """Return the head of the next request; empty when the client has closed the connection."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""
        for line in head.split("\r\n"):
            if line.lower().startswith("content-length:"):
                await self.reader.readexactly(int(line.partition(":")[2]))
        self.heads.append(head)
        return head

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def answer(self, body: bytes = b"{}", more: str = "") -> None:
        """Send a whole answer with status 200."""
        await self.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)


@dataclass
class RawServer:
    """What the server knows.

    Args:
        serve: Called for each connection; when it returns, the connection is closed.
    """

    serve: Serve
    port: int = 0
    heads: list[list[str]] = field(default_factory=list)
    closed: list[asyncio.Event] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        call = Call(len(self.heads), reader, writer, [])
        self.heads.append(call.heads)
        self.closed.append(asyncio.Event())
        try:
            await self.serve(call)
        finally:
            writer.close()
            self.closed[call.number].set()

    @property
    def lines(self) -> list[list[str]]:
        """The request lines of each connection, without the protocol's version."""
        return [[head.split(" HTTP/", 1)[0] for head in heads] for heads in self.heads]

    def target(self, **changes: Any) -> Target:
        """Return the fleet file's view of this server."""
        return target_of(**{"port": self.port, **changes})


@contextlib.asynccontextmanager
async def raw_server(
    serve: Serve, *, ssl_context: Any = None, address: str = "127.0.0.1"
) -> AsyncIterator[RawServer]:
    """Run a server on loopback."""
    server = RawServer(serve)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, address, 0, ssl=ssl_context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answering(call: Call) -> None:
    """Answer every request of a connection with ``{}``."""
    while await call.request():
        await call.answer()
