"""Sends one request to one BMC: shared client session, bounded body, redirects to the same origin only."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

import aiohttp
from yarl import URL

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcDataError, BmcError, BmcUnreachableError, ConfigError
from energyrecorder_execd.http.errors import transport_error
from energyrecorder_execd.http.exchange import Exchange, Listener, RawAnswer
from energyrecorder_execd.http.tls import (
    TlsContexts,
    TlsPolicy,
    parse_digest,
    parse_policy,
    shown_certificate,
)
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
_HEADERS = {"Accept": "application/json", "User-Agent": "energyrecorder"}
# No OData-Version header: it breaks the Thermal resource of iLO 4 (telegraf#14488).

_log = logging.getLogger(__name__)


class HttpClients:
    """What all HTTP readers of this process share: one client session, one TLS context per policy.

    Args:
        listener: Hears every exchange with every BMC; None for the usual case that nobody does.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.tls = TlsContexts()
        self._listener = listener
        self._session: aiohttp.ClientSession | None = None

    def listeners(self, target: Target) -> tuple[Listener, ...]:
        """Return who hears the exchanges with one BMC: the log if its entry says ``debug = true``."""
        found: list[Listener] = [] if self._listener is None else [self._listener]
        if target.options.get("debug"):
            found.append(TrafficLog(target))
        return tuple(found)

    def session(self) -> aiohttp.ClientSession:
        """Return the client session; made when it is first needed, inside the running loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=KEEPALIVE_S)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                # The caller's deadline for the whole poll is the only time limit.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


class Endpoint:
    """One BMC's HTTP server.

    Args:
        target: The BMC.
        clients: Shared by the process.
        facts: What is remembered of this BMC's HTTP server; ``pin`` for trust on first use.
        clock: Wall clock.
    """

    def __init__(
        self, target: Target, clients: HttpClients, facts: MutableMapping[str, Any], clock: Clock
    ) -> None:
        self._clients = clients
        self._facts = facts
        self._clock = clock
        self._policy = parse_policy(target.tls)
        self._proxy: str | None = target.options.get("proxy")
        self._legacy = bool(target.options.get("legacy_tls"))
        self._listeners = clients.listeners(target)
        port = target.port or _PORTS[target.scheme]
        self._base = URL.build(scheme=target.scheme, host=target.address, port=port)
        self._tls: Any = None
        self.requests = 0
        if target.scheme == "https" and self._policy.kind == "off":
            _log.warning("%s: tls = 'off': anybody on the way can read the log-in of this BMC", target.server)

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
        if self._tls is None:
            self._tls = await self._tls_parameter()
        url = self._url(path)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._once(method, url, headers or {}, payload)
            if answer.status not in _REDIRECTS:
                return answer
            url = self._redirected(url, answer)
        raise BmcDataError(f"{method} {path}: more than {MAX_REDIRECTS} redirects", reason="protocol")

    def _url(self, path: str) -> URL:
        return URL(f"{self._base.origin()}{path}", encoded=True)

    def _redirected(self, url: URL, answer: RawAnswer) -> URL:
        location = answer.headers.get("Location", "")
        try:
            there = url.join(URL(location, encoded=True))
            same = bool(location) and there.origin() == self._base.origin()
        except ValueError:
            same = False
        if not same:
            raise BmcDataError(f"{url.path}: redirect to {location[:200]!r} not followed", reason="protocol")
        return there

    async def _tls_parameter(self) -> Any:
        if self._base.scheme == "http":
            return True
        if self._policy.kind != "tofu":
            try:
                return self._clients.tls.for_policy(self._policy, legacy=self._legacy)
            except ConfigError as error:
                raise BmcUnreachableError(str(error), reason="tls") from None
        digest = parse_digest(self._facts.get("pin"))
        if digest is None:
            host, port = self._base.host or "", self._base.port or 443
            context = self._clients.tls.unverified(legacy=self._legacy)
            digest = hashlib.sha256(await shown_certificate(host, port, context)).digest()
            self._facts["pin"] = digest.hex()
            _log.info("%s: trusting its certificate from now on: sha256:%s", host, digest.hex())
        return self._clients.tls.for_policy(TlsPolicy("pin", digest=digest), legacy=self._legacy)

    async def _once(
        self, method: str, url: URL, headers: Mapping[str, str], payload: Mapping[str, str] | None
    ) -> RawAnswer:
        self.requests += 1
        where = f"{method} {url.path}"
        sent_ns = self._clock()
        try:
            async with self._clients.session().request(
                method,
                url,
                headers=headers,
                json=payload,
                ssl=self._tls,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                body = await _bounded_body(response, where)
                answer = RawAnswer(response.status, response.headers, body, sent_ns, self._clock())
        except BmcError as error:
            self._tell(method, url, error)
            raise
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            problem = transport_error(error, f"{where} of {self._base.host}:{self._base.port}")
            self._tell(method, url, problem)
            raise problem from None
        except asyncio.CancelledError:
            late = BmcUnreachableError(f"{where}: no answer when the poll ended", reason="timeout")
            self._tell(method, url, late)
            raise
        self._tell(method, url, answer)
        return answer

    def _tell(self, method: str, url: URL, outcome: RawAnswer | BmcError) -> None:
        for listener in self._listeners:
            listener(Exchange(method, url.raw_path_qs, outcome))


async def _bounded_body(response: aiohttp.ClientResponse, where: str) -> bytes:
    if (response.content_length or 0) <= MAX_BODY_BYTES:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
        else:
            return bytes(body)
    response.close()
    raise BmcDataError(f"{where}: the body is longer than {MAX_BODY_BYTES} bytes", reason="data")
