"""Sends requests to one BMC: kept connection, bounded body, redirects to the same origin only."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httptools

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcDataError, BmcError, BmcUnreachableError, ConfigError
from energyrecorder_execd.fleet.hosts import parse_proxy
from energyrecorder_execd.http.connect import Route, connect, proxy_headers
from energyrecorder_execd.http.connection import Connection, Shared
from energyrecorder_execd.http.content import BodyTooLongError
from energyrecorder_execd.http.errors import connect_error, exchange_error, untrusted
from energyrecorder_execd.http.exchange import Exchange, Listener, RawAnswer
from energyrecorder_execd.http.request import host_header, request_bytes
from energyrecorder_execd.http.response import Response
from energyrecorder_execd.http.tls import TlsContexts, changed_certificate, parse_digest, parse_policy
from energyrecorder_execd.http.traffic import TrafficLog
from energyrecorder_execd.readers.base import Target

MAX_BODY_BYTES = 4 * 1024 * 1024
"""A body larger than this is refused; ten times more than any resource that was captured."""

MAX_REDIRECTS = 3
KEEPALIVE_S = 180.0
"""Longer than any poll interval, so that a poll does not pay for a TLS handshake (1.5 ms CPU here, 0.1 to
1 s on a BMC)."""

_PORTS = {"https": 443, "http": 80}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REPEATABLE = frozenset({"GET", "DELETE"})
"""Sent once more where a kept connection turns out to be closed; a log-in never is."""

_log = logging.getLogger(__name__)


class HttpClients:
    """What all HTTP readers of this process share: buffers, and one TLS context per policy.

    Args:
        listener: Hears every exchange with every BMC; None for the usual case that nobody does.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.tls = TlsContexts()
        self._listener = listener
        self._shared = Shared(KEEPALIVE_S)
        self._unchecked: set[str] = set()

    def listeners(self, target: Target) -> tuple[Listener, ...]:
        """Return who hears the exchanges with one BMC: the log if its entry says ``debug = true``."""
        found: list[Listener] = [] if self._listener is None else [self._listener]
        if target.options.get("debug"):
            found.append(TrafficLog(target))
        return tuple(found)

    def warn_unchecked(self, target: Target) -> None:
        """Say once for each BMC whose account could be stolen that nobody checks its certificate."""
        if target.user and target.server not in self._unchecked:
            self._unchecked.add(target.server)
            _log.warning(
                "%s: tls = 'off': its certificate is not checked; who stands in between can read the log-in",
                target.server,
            )

    async def connect(self, route: Route) -> Connection:
        """Return a new connection; raises what `connect.connect` raises."""
        return await connect(route, self._shared)

    async def close(self) -> None:
        """Close all connections."""
        await self._shared.close()


class Endpoint:
    """One BMC's HTTP server.

    Args:
        target: The BMC.
        clients: Shared by the process.
        facts: What is remembered of this BMC; ``pin`` for trust on first use, whatever the protocol.
        clock: Wall clock.
    """

    def __init__(
        self, target: Target, clients: HttpClients, facts: MutableMapping[str, Any], clock: Clock
    ) -> None:
        self._clients = clients
        self._facts = facts
        self._clock = clock
        self._policy = parse_policy(target.tls)
        self._legacy = bool(target.options.get("legacy_tls"))
        self._listeners = clients.listeners(target)
        proxy = target.options.get("proxy")
        self._proxy = None if proxy is None else parse_proxy(proxy)
        self._scheme, self._address = target.scheme, target.address
        self._port = target.port or _PORTS[target.scheme]
        self._host = host_header(self._address, self._port, _PORTS[target.scheme])
        # In clear a proxy is asked for the whole address; with TLS it only passes bytes on.
        self._is_relayed = self._proxy is not None and target.scheme == "http"
        self._route: Route | None = None
        self._kept: Connection | None = None
        self.requests = 0
        if target.scheme == "https" and self._policy.kind == "off":
            clients.warn_unchecked(target)

    def close(self) -> None:
        """Close the connection."""
        if self._kept is not None:
            self._kept.abort()
            self._kept = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        payload: Mapping[str, str] | None = None,
    ) -> RawAnswer:
        """Send one request and follow redirects within the same scheme, host and port.

        Args:
            method: ``GET``, ``POST`` or ``DELETE``; kept over redirects, since BMCs redirect a POST of a
                session to its trailing-slash form with 301 (Supermicro).
            path: Absolute path, percent-encoded as the BMC gave it.
            headers: Further ones.
            payload: Sent as JSON.

        Raises:
            BmcUnreachableError: No connection, no TLS, or a broken one.
            BmcDataError: The body is too long, or a redirect leads elsewhere.
        """
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._once(method, path, headers or {}, payload)
            if answer.status not in _REDIRECTS:
                return answer
            path = self._redirected(path, answer)
        raise BmcDataError(f"{method} {path}: more than {MAX_REDIRECTS} redirects", reason="protocol")

    def _redirected(self, path: str, answer: RawAnswer) -> str:
        """Return the path that an answer redirects to, if it is on the same server."""
        location = answer.headers.get("location", "")
        advice = ""
        try:
            there = urlsplit(urljoin(f"{self._scheme}://{self._host}{path}", location))
            if self._scheme == "http" and (there.scheme, there.hostname) == ("https", self._own_name()):
                advice = "; it wants TLS: leave http:// out of its entry"
            port = there.port or _PORTS.get(there.scheme)
            if (there.scheme, there.hostname) == (self._scheme, self._own_name()) and port != self._port:
                advice = f"; if that is the BMC as well, give its port, {port}, in its entry"
            same = (there.scheme, there.hostname, port) == (self._scheme, self._own_name(), self._port)
        except ValueError:
            same = False
        if not location or not same:
            where = path.partition("?")[0]
            raise BmcDataError(
                f"{where}: redirect to {location[:200]!r} not followed{advice}", reason="protocol"
            )
        return (there.path or "/") + (f"?{there.query}" if there.query else "")

    def _own_name(self) -> str | None:
        return urlsplit(f"//{self._host}").hostname

    async def _once(
        self, method: str, path: str, headers: Mapping[str, str], payload: Mapping[str, str] | None
    ) -> RawAnswer:
        self.requests += 1
        where = f"{method} {path.partition('?')[0]}"
        try:
            request = self._request(method, path, headers, payload)
            answer = await self._answer(request, where, repeatable=method in _REPEATABLE)
        except BmcError as error:
            self._tell(method, path, error)
            raise
        except asyncio.CancelledError:
            late = BmcUnreachableError(f"{where}: no answer when the poll ended", reason="timeout")
            self._tell(method, path, late)
            raise
        self._tell(method, path, answer)
        return answer

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], payload: Mapping[str, str] | None
    ) -> bytes:
        target = path
        if self._is_relayed:
            target = f"http://{self._host}{path}"
            headers = {**headers, **proxy_headers(self._proxy)}
        try:
            return request_bytes(method, target, self._host, headers, payload)
        except ValueError as error:
            raise BmcDataError(f"{method} {path}: cannot be sent: {error}", reason="protocol") from None

    async def _answer(self, request: bytes, where: str, *, repeatable: bool) -> RawAnswer:
        """Return the answer, on the kept connection or, if it turns out to be closed, on a new one."""
        connection, self._kept = self._kept, None
        if connection is not None and connection.is_usable:
            try:
                return await self._answer_on(connection, request, where)
            except _ClosedError:
                if not repeatable:
                    raise
        return await self._answer_on(await self._connected(where), request, where)

    async def _answer_on(self, connection: Connection, request: bytes, where: str) -> RawAnswer:
        response = Response(limit=MAX_BODY_BYTES)
        at = f"{where} of {self._address}:{self._port}"
        sent_ns = self._clock()
        try:
            await connection.exchange(request, response)
        except asyncio.CancelledError as late:
            late.add_note(f"{at}: {'inside' if response.is_begun else 'waiting for'} the answer")
            raise
        except (OSError, httptools.HttpParserError) as error:
            problem = exchange_error(error, at, is_begun=response.is_begun)
            if isinstance(error, ConnectionError) and not response.is_begun:
                raise _ClosedError(str(problem), reason=problem.reason) from None
            raise problem from None
        received_ns = self._clock()
        if self._kept is None and connection.is_usable:
            self._kept = connection
        else:
            connection.abort()
        try:
            body = response.body()
        except BodyTooLongError:
            most = f"the body is longer than {MAX_BODY_BYTES} bytes"
            raise BmcDataError(f"{where}: {most}", reason="data") from None
        except ValueError as error:
            raise BmcDataError(f"{where}: the body cannot be read: {error}", reason="data") from None
        return RawAnswer(response.status, response.headers, body, sent_ns, received_ns)

    async def _connected(self, where: str) -> Connection:
        at = f"{where} of {self._address}:{self._port}"
        try:
            if self._route is None:
                self._route = Route(self._address, self._port, self._context(), self._proxy)
            connection = await self._clients.connect(self._route)
        except asyncio.CancelledError as late:
            late.add_note(f"{at}: no connection yet")
            raise
        except ConfigError as error:
            raise BmcUnreachableError(str(error), reason="tls") from None
        except (OSError, ValueError, httptools.HttpParserError) as error:
            raise connect_error(error, at) from None
        try:
            self._check(connection.certificate, at)
        except BmcError:
            connection.abort()
            raise
        return connection

    def _context(self) -> ssl.SSLContext | None:
        if self._scheme == "http":
            return None
        return self._clients.tls.for_policy(self._policy, legacy=self._legacy)

    def _check(self, certificate: bytes, at: str) -> None:
        """Compare a certificate with the pin; with trust on first use, the first one becomes the pin."""
        if self._scheme == "http" or self._policy.kind not in {"pin", "tofu"}:
            return
        shown = hashlib.sha256(certificate).digest()
        expected = (
            parse_digest(self._facts.get("pin")) if self._policy.kind == "tofu" else self._policy.digest
        )
        if expected is None:
            self._facts["pin"] = shown.hex()
            _log.info("%s: trusting its certificate from now on: sha256:%s", self._address, shown.hex())
        elif shown != expected:
            raise untrusted(changed_certificate(expected, shown), at)

    def _tell(self, method: str, path: str, outcome: RawAnswer | BmcError) -> None:
        for listener in self._listeners:
            listener(Exchange(method, path, outcome))


class _ClosedError(BmcUnreachableError):
    """The connection was closed before anything of the answer came."""
