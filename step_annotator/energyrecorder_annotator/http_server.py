"""The HTTP server: its socket, TLS, slow clients, and its orderly end."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from energyrecorder.errors import ConfigError

GRACE_S = 2
"""Requests that are still being answered get this long when the service ends."""
HEADERS_S = 10.0
"""A connection whose first request has not begun after this is closed."""
MOST_CONNECTIONS = 2000

_log = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address.

    Raises:
        ConfigError: It cannot be.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        other = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        raise ConfigError(
            f"cannot listen on {host!r} port {port}: {error.strerror}; choose another {other}"
        ) from None
    return listener


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Read certificate and key once, so that a mistake is told before the service starts.

    Raises:
        ConfigError: They cannot be used.
    """
    if certificate is None:
        if key is not None:
            raise ConfigError("[listen] tls_key is set but tls_certificate is not")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:
        reason = error.strerror
        if isinstance(error, ssl.SSLError):
            mismatch = error.reason == "KEY_VALUES_MISMATCH"
            reason = "they do not fit" if mismatch else "no certificate or no key in it (PEM)"
        raise ConfigError(
            f"TLS certificate {str(certificate)!r} (key {str(key or certificate)!r}) cannot be used: {reason}"
        ) from None


class _Protocol(HttpToolsProtocol):
    """Closes connections that never ask anything: a slow-loris client holds no socket for long."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEADERS_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        cycle: object = self.cycle
        if cycle is None:
            self.transport.close()


class Server(uvicorn.Server):
    """Says where it listens once it does, and what ends when it begins to end.

    Args:
        app: What to serve.
        listener: Bound socket.
        certificate: PEM file with the chain; None = plain HTTP.
        key: PEM file; None = in the certificate's file.
        on_stop: Called when the end begins, before requests are waited for.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                lifespan="off",
                http=_Protocol,
                ws="none",
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_S,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._listener = listener
        self._on_stop = on_stop
        host, port = listener.getsockname()[:2]
        scheme = "http" if certificate is None else "https"
        self._url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def run_until_stopped(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        # uvicorn raises the signal again when it has ended, to which the exit status would be due.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        await self.serve(sockets=[self._listener])
        _log.info("stopping")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        await super().startup(sockets)
        if self.started:
            _log.info("listening on %s", self._url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        self._on_stop()
        await super().shutdown(sockets)
