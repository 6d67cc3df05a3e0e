"""The TCP port of one BMC: accepts, stays silent, or refuses, as its faults want it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

_BACKLOG = 128
_HANDSHAKE_TIMEOUT_S = 30.0


class Listener:
    """A listening socket on 127.0.0.1 whose port stays ours while it refuses connections.

    Args:
        protocol_factory: Makes the HTTP protocol of one connection.
        context: TLS settings; None means plain HTTP.
        stalled: Tells whether connections are accepted and then left without an answer.
    """

    def __init__(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        *,
        context: ssl.SSLContext | None,
        stalled: Callable[[], bool],
    ) -> None:
        self._protocol_factory = protocol_factory
        self._context = context
        self._stalled = stalled
        self._socket: socket.socket | None = None
        self._port = 0
        self._silent: set[socket.socket] = set()
        self._starting: set[asyncio.Task[None]] = set()

    def open(self, port: int = 0) -> int:
        """Listen and return the port; 0 takes any free one.

        Raises:
            OSError: The port is taken.
        """
        self._bind(port)
        self.resume()
        return self._port

    def close(self) -> None:
        """Close the port and the connections that were left without an answer."""
        self._unbind()
        self._drop_young()

    def refuse(self) -> None:
        """Refuse new connections from now on, and drop those that are not the HTTP server's yet."""
        self._unbind()
        self._drop_young()
        # A socket that is bound and does not listen answers with RST and keeps the port for us.
        self._bind(self._port)

    def resume(self) -> None:
        """Accept connections again."""
        if self._socket is not None:
            self._socket.listen(_BACKLOG)
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def hang_up(self) -> None:
        """Close the connections that were left without an answer."""
        while self._silent:
            self._silent.pop().close()

    def _drop_young(self) -> None:
        self.hang_up()
        for task in self._starting:
            task.cancel()

    def _bind(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)  # the signature is the socket module's
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            self._socket = None
            raise
        self._port = self._socket.getsockname()[1]

    def _unbind(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            if self._socket is None:
                return
            try:
                connection, _peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            connection.setblocking(False)  # as above
            if self._stalled():
                self._silent.add(connection)
                continue
            task = asyncio.get_running_loop().create_task(self._start(connection))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self, connection: socket.socket) -> None:
        handshake_s = None if self._context is None else _HANDSHAKE_TIMEOUT_S
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol_factory, connection, ssl=self._context, ssl_handshake_timeout=handshake_s
            )
        except OSError:
            # A client that breaks off the handshake (it does not trust us, say) is no fault of ours.
            connection.close()
