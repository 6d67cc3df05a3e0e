"""One HTTP exchange with the annotator: keep-alive, proxies, a deadline, and the clock offset it reveals."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Union
from urllib.parse import urlsplit

from energyrecorder.clock import Instant
from energyrecorder.errors import AnnotatorError, unreachable_text
from energyrecorder.http1 import ClosedError, Connection, HttpError
from energyrecorder.sockets import connect

MAX_ANSWER_BYTES = 16 * 2**20
CONNECT_TIMEOUT_S = 1.0
_LOOPBACK = ("127.", "localhost", "::1")
_OK, _MULTIPLE_CHOICES = 200, 300
Body = Union[Dict[str, Any], bytes, None]


class TransportError(AnnotatorError):
    """An exchange failed.

    Args:
        message: One line; foreign text in it is quoted.
        status: HTTP status, None when there was no complete answer.
        code: The error code of the annotator's envelope; empty when it gave none.
    """

    def __init__(self, message: str, *, status: Optional[int] = None, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Offset:
    """How far the annotator's wall clock is ahead of ours.

    Args:
        offset_ns: Server minus client.
        error_ns: Half the round trip without the server's own time: the offset is known no better.
    """

    offset_ns: int
    error_ns: int


def estimate_offset(sent: Instant, answered: Instant, received_ns: int, sent_ns: int) -> Offset:
    """Return the clock offset as NTP computes it (RFC 5905, section 8).

    The round trip is taken on the boot clock, so that a step of our wall clock in between does no harm.

    Args:
        sent: When the request left here.
        answered: When the answer was here.
        received_ns: When the annotator had the request, on its wall clock.
        sent_ns: When the annotator sent the answer, on its wall clock.
    """
    round_trip_ns = answered.boot_ns - sent.boot_ns
    offset_ns = ((received_ns - sent.wall_ns) + (sent_ns - (sent.wall_ns + round_trip_ns))) // 2
    return Offset(offset_ns, max(0, (round_trip_ns - (sent_ns - received_ns)) // 2))


class Transport:
    """Exchanges with one annotator over one connection that is kept open; used by one thread at a time.

    Args:
        url: Base URL.
        now: The clocks that the offset is estimated with.
        authorization: Value of the ``Authorization`` header; None sends none.
    """

    def __init__(self, url: str, *, now: Callable[[], Instant], authorization: Optional[str] = None) -> None:
        self.url = url
        self.offset: Optional[Offset] = None
        self._now = now
        self._headers = {"Accept": "application/json", "User-Agent": "energyrecorder"}
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._connection: Optional[Connection] = None
        self._deadline_ns = 0
        self._route = _route(url)
        if self._route.tls_name:
            import ssl  # noqa: F401  # only where it is used, and before a test may patch sockets

    def exchange(
        self, method: str, path: str, body: Body = None, *, timeout_s: float = 2.0
    ) -> Dict[str, Any]:
        """Send one request and return the parsed answer.

        Args:
            method: HTTP method.
            path: Path and query below the base URL.
            body: Sent as JSON, or as it is when it is a file's bytes; None sends none.
            timeout_s: For the whole exchange except the look-up of the name.

        Raises:
            TransportError: No answer in time, an error status, or an answer that is not a JSON object.
        """
        status, raw, sent, answered = self._raw(method, path, body, timeout_s)
        answer = _parse(raw, status, self.url)
        if not _OK <= status < _MULTIPLE_CHOICES:
            raise _refusal(answer, status, self.url)
        received_ns, sent_ns = answer.get("received_ns"), answer.get("sent_ns")
        if isinstance(received_ns, int) and isinstance(sent_ns, int):
            self.offset = estimate_offset(sent, answered, received_ns, sent_ns)
        return answer

    def text(self, path: str, *, timeout_s: float = 10.0) -> str:
        """Return the body of a document, such as a report in HTML.

        Raises:
            TransportError: No answer in time, or an error status.
        """
        status, raw, _, _ = self._raw("GET", path, None, timeout_s)
        if not _OK <= status < _MULTIPLE_CHOICES:
            raise _refusal(_parse(raw, status, self.url), status, self.url)
        return raw.decode("utf-8", "replace")

    def close(self) -> None:
        """Close the connection; the next exchange opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _raw(
        self, method: str, path: str, body: Body, timeout_s: float
    ) -> Tuple[int, bytes, Instant, Instant]:
        payload = json.dumps(body, separators=(",", ":")).encode("ascii") if isinstance(body, dict) else body
        self._deadline_ns = self._now().boot_ns + int(timeout_s * 1e9)
        reused = self._connection is not None
        try:
            try:
                return self._once(method, path, payload)
            except (ClosedError, ConnectionResetError, BrokenPipeError):
                # The annotator closes idle connections; what met a closed one was not processed.
                if not reused:
                    raise
                self.close()
                return self._once(method, path, payload)
        except (OSError, ValueError) as error:
            self.close()
            raise TransportError(f"annotator at {self.url}: {_describe(error)}") from error
        except BaseException:
            self.close()
            raise

    def _once(self, method: str, path: str, payload: Optional[bytes]) -> Tuple[int, bytes, Instant, Instant]:
        if self._connection is None:
            self._connection = _open(self._route, self._remaining)
        headers = {"Host": self._route.authority, **self._headers, **self._route.headers}
        if payload is not None:
            # `energy-step import` sends a JUnit file as it is.
            headers["Content-Type"] = "application/json" if payload.startswith(b"{") else "application/xml"
        sent = self._now()
        self._connection.request(method, self._route.prefix + path, headers, payload)
        response = self._connection.response()
        answered = self._now()
        if response.will_close:
            self.close()
        return response.status, response.body, sent, answered

    def _remaining(self) -> float:
        left_ns = self._deadline_ns - self._now().boot_ns
        if left_ns <= 0:
            raise socket.timeout("timed out")  # noqa: UP041  # an alias of TimeoutError only since 3.10
        return left_ns / 1e9


def _describe(error: BaseException) -> str:
    if isinstance(error, HttpError):
        return str(error)
    if isinstance(error, socket.timeout):
        return "no answer in time"  # no TimeoutError before 3.10
    return unreachable_text(error)


def _parse(raw: bytes, status: int, url: str) -> Dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise TransportError(
            f"annotator at {url}: HTTP {status} with something that is not its JSON: {raw[:60]!r}",
            status=status,
        )
    return answer


def _refusal(answer: Dict[str, Any], status: int, url: str) -> TransportError:
    error = answer.get("error")
    envelope = error if isinstance(error, dict) else {}
    message = str(envelope.get("message", ""))[:300]
    return TransportError(
        f"annotator at {url}: HTTP {status} {message!r}", status=status, code=str(envelope.get("code", ""))
    )


def _proxy_for(scheme: str, host: str) -> Optional[str]:
    """Return the proxy that the environment names for this host, or None."""
    if host.startswith(_LOOPBACK) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies_environment, proxy_bypass

    if proxy_bypass(host):
        return None
    proxies = getproxies_environment()
    return proxies.get(scheme) or proxies.get("all")


@dataclass(frozen=True)
class _Route:
    """How requests get to the annotator: whom to connect to and what goes before each path."""

    host: str
    port: int
    authority: str
    prefix: str = ""
    tls_name: Optional[str] = None
    tunnel: Optional[str] = None
    headers: Mapping[str, str] = field(default_factory=dict)
    tunnel_headers: Mapping[str, str] = field(default_factory=dict)


def _route(url: str) -> _Route:
    """Return the route to ``url``, by a proxy when the environment asks for one."""
    parts = urlsplit(url)
    host = _ascii(parts.hostname or "")
    tls_name = host if parts.scheme == "https" else None
    port = parts.port or (443 if tls_name else 80)
    bracketed = f"[{host}]" if ":" in host else host
    authority = bracketed if parts.port is None else f"{bracketed}:{port}"
    proxy = _proxy_for(parts.scheme, host)
    if proxy is None:
        return _Route(host, port, authority, prefix=parts.path, tls_name=tls_name)
    via = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    gate, gate_port = _ascii(via.hostname or ""), via.port or 8080
    credentials = _proxy_authorization(via.username, via.password)
    if tls_name is None:
        prefix = f"http://{authority}{parts.path}"
        return _Route(gate, gate_port, authority, prefix=prefix, headers=credentials)
    return _Route(
        gate,
        gate_port,
        authority,
        prefix=parts.path,
        tls_name=tls_name,
        tunnel=f"{bracketed}:{port}",
        tunnel_headers=credentials,
    )


def _ascii(host: str) -> str:
    """Return a name as it is looked up (RFC 3490); most are ASCII, and the codec is slow to load."""
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _open(route: _Route, remaining: Callable[[], float]) -> Connection:
    sock = connect(route.host, route.port, min(remaining(), CONNECT_TIMEOUT_S))
    try:
        if route.tunnel:
            sock.settimeout(remaining())
            Connection(sock, remaining, MAX_ANSWER_BYTES).tunnel(route.tunnel, route.tunnel_headers)
        if route.tls_name:
            import ssl

            sock.settimeout(remaining())
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=route.tls_name)
    except BaseException:
        sock.close()
        raise
    return Connection(sock, remaining, MAX_ANSWER_BYTES)


def _proxy_authorization(user: Optional[str], password: Optional[str]) -> Dict[str, str]:
    if user is None:
        return {}
    from base64 import b64encode
    from urllib.parse import unquote

    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode('ascii')}"}
