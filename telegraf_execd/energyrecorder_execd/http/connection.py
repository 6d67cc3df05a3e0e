"""One connection to a BMC, over TLS or in clear, that carries one request after the other.

TLS runs in memory on top of a plain transport: asyncio's own layer of it keeps 256 kB for each connection.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl

import httptools

from energyrecorder_execd.http.response import Response

_BUFFER_BYTES = 64 * 1024
_LEAST_REST_S = 1.0


class Shared:
    """What all connections of a process share: two buffers, each in use within one callback only.

    Args:
        rest_s: A connection that was not used for so long is closed, seconds.
    """

    def __init__(self, rest_s: float) -> None:
        self.rest_s = rest_s
        self.received = memoryview(bytearray(_BUFFER_BYTES))
        self.decrypted = memoryview(bytearray(_BUFFER_BYTES))
        self.open: set[Connection] = set()

    async def close(self) -> None:
        """Close all connections."""
        lost = [connection.lost for connection in self.open]
        for connection in list(self.open):
            connection.abort()
        if lost:
            await asyncio.wait(lost)


class Connection(asyncio.BufferedProtocol):
    """One connection; made by `asyncio.loop.create_connection`.

    Args:
        shared: By all connections of the process.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._shakes_hands = False
        self._response: Response | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._used_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_usable(self) -> bool:
        """Whether another request may be tried."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def certificate(self) -> bytes:
        """The peer's certificate (DER); empty without TLS."""
        return b"" if self._tls is None else self._tls.getpeercert(binary_form=True) or b""

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Begin TLS.

        Args:
            context: How the certificate is verified.
            name: Name or address that it is verified for.

        Raises:
            ssl.SSLError: There is no TLS, or no trust.
        """
        if not self.is_usable:
            raise _end_of_handshake()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._shakes_hands = True
        self._shake_hands()
        await self._wait()

    async def exchange(self, request: bytes, response: Response) -> None:
        """Send a request and receive its response; unless that went well, the connection is closed.

        Args:
            request: As it goes over the wire.
            response: Filled; look at `Response.is_too_long` as well.

        Raises:
            OSError: The connection broke.
            httptools.HttpParserError: What came is no valid HTTP.
        """
        self._response = response
        try:
            self._send(request)
            await self._wait()
        finally:
            self._response = None
            self._used_s = self._loop.time()
            if not (response.is_complete and response.keeps_alive):
                self.abort()

    def abort(self) -> None:
        """Close the connection without ceremony."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, plain: bytes) -> None:
        if not self.is_usable:
            raise _broken()
        if self._tls is None:
            self._write(plain)
        else:
            self._tls.write(plain)
            self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._write(self._outgoing.read())

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.abort()

    def _shake_hands(self) -> None:
        if self._tls is None:
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        else:
            self._shakes_hands = False
            self._wake()
        finally:
            self._flush()

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        plain = self._shared.decrypted
        while self._incoming.pending or tls.pending():
            try:
                # With a buffer it returns a number, which the stub does not know.
                count: int = tls.read(len(plain), plain)  # type: ignore[assignment]
            except ssl.SSLWantReadError:
                break
            if count == 0:  # close_notify
                self._ended()
                self.abort()
                return
            self._take(plain[:count])
        self._flush()

    def _take(self, data: memoryview) -> None:
        response = self._response
        if response is None:
            self.abort()  # nothing was asked for
            return
        response.feed(data)
        if response.is_settled:
            self._wake()

    def _ended(self) -> None:
        if self._response is not None and self._response.end():
            self._wake()
        elif self._shakes_hands:
            self._fail(_end_of_handshake())
        else:
            self._fail(_broken())

    def _rest(self) -> None:
        left_s = self._used_s + self._shared.rest_s - self._loop.time()
        if left_s <= 0 and self._waiter is None:
            self.abort()
        else:
            self._timer = self._loop.call_later(max(_LEAST_REST_S, left_s), self._rest)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._shared.open.add(self)
            self._rest()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # as `asyncio` calls it
        """Return where received bytes go."""
        return self._shared.received

    def buffer_updated(self, nbytes: int) -> None:
        """Take over received bytes."""
        data = self._shared.received[:nbytes]
        try:
            if self._tls is None:
                self._take(data)
                return
            self._incoming.write(data)
            if self._shakes_hands:
                self._shake_hands()
            else:
                self._decrypt(self._tls)
        except (ssl.SSLError, httptools.HttpParserError) as error:
            self._fail(error)

    def eof_received(self) -> None:
        """Note that the peer sends nothing more; the transport then closes itself."""
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is under way."""
        self._transport = None
        self._shared.open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._shakes_hands:
            self._ended()
        else:
            self._fail(exc or _broken())
        if not self.lost.done():
            self.lost.set_result(None)


def _broken() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _end_of_handshake() -> ssl.SSLEOFError:
    return ssl.SSLEOFError(ssl.SSLErrorNumber.SSL_ERROR_EOF, "end of the connection")
