"""Gets JSON resources of one BMC, logged in, with one new log-in when a session has expired."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcAuthError
from energyrecorder_execd.http.decode import decode
from energyrecorder_execd.http.errors import HttpStatusError, asked_wait_s, http_date_s
from energyrecorder_execd.http.exchange import RawAnswer
from energyrecorder_execd.http.session import SessionLogin
from energyrecorder_execd.http.transport import Endpoint, HttpClients
from energyrecorder_execd.readers.base import Context, Target

DEAD_SESSION_NS = 60 * 10**9
"""How long a session that gave nothing but 401 is kept before one more log-in; doubled each time in vain."""
LONGEST_DEAD_NS = 6 * 3600 * 10**9

_OK = 200
_UNAUTHORIZED = 401
_MAY_ASK_TO_WAIT = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Answer:
    """One resource as the BMC gave it.

    Args:
        path: Path that was asked for.
        document: The JSON value.
        sent_ns: When the request left, nanoseconds since the Unix epoch, UTC.
        received_ns: When the body was complete, likewise.
        date_s: The BMC's own clock as its ``Date`` header shows it, seconds since the Unix epoch, UTC,
            in whole seconds; None if there was no such header.
    """

    path: str
    document: Any
    sent_ns: int
    received_ns: int
    date_s: float | None = None

    @property
    def middle_ns(self) -> int:
        """The middle of the request, nanoseconds since the Unix epoch, UTC."""
        return (self.sent_ns + self.received_ns) // 2

    @property
    def latency_s(self) -> float:
        """Time from request to answer, seconds."""
        return (self.received_ns - self.sent_ns) / 1e9


class BmcHttp:
    """One BMC over HTTP.

    Args:
        target: The BMC.
        clients: Shared by the process.
        facts: What is remembered of it for one protocol; see `SessionLogin` for the keys.
        context: Clock, what is remembered for all protocols (see `Endpoint`) and writes it to disk, and who
            hears of each whole answer.
    """

    def __init__(
        self, target: Target, clients: HttpClients, facts: MutableMapping[str, Any], context: Context
    ) -> None:
        clock = context.clock
        self._user = target.user
        self._clock = clock
        self._heard = context.heard
        self._endpoint = Endpoint(target, clients, context.memory.facts, clock)
        self._denied: dict[str, int] = {}
        self._session_works = False
        self._dead_ns = DEAD_SESSION_NS
        self._login = SessionLogin(target, self._endpoint, facts, clock, context.memory.keep)

    @property
    def requests(self) -> int:
        """Requests sent so far, log-in and log-out included."""
        return self._endpoint.requests

    async def get(self, path: str, *, anonymous: bool = False) -> Answer:
        """Return the resource at ``path``.

        Args:
            path: Absolute path as the BMC gave it.
            anonymous: Without logging in, for the service root.

        Raises:
            BmcUnreachableError: No connection.
            BmcAuthError: The log-in was refused.
            HttpStatusError: Any other status than 200.
            BmcDataError: The body is no JSON, or too long.
        """
        raw = await self._get(path, anonymous=anonymous)
        if raw.status == _UNAUTHORIZED and not anonymous:
            raw = await self._after_401(path)
        if raw.status != _OK:
            wait_s = _asked_wait_s(raw, self._clock)
            asks = "" if wait_s is None else f", it asks to wait {wait_s:g} s"
            raise HttpStatusError(
                f"GET {path}: HTTP {raw.status}{asks}", status=raw.status, retry_after_s=wait_s
            )
        self._denied.pop(path, None)
        if not anonymous:
            self._session_works, self._dead_ns = True, DEAD_SESSION_NS
        return Answer(
            path=path,
            document=decode(raw.body, path),
            sent_ns=raw.sent_ns,
            received_ns=raw.received_ns,
            date_s=http_date_s(raw.headers.get("date")),
        )

    async def _after_401(self, path: str) -> RawAnswer:
        """Return the answer to a second try after one new log-in, if there is reason to hope for one.

        401 with the token of a log-in that succeeded means that the session expired or the BMC forgot it.
        401 for one resource even with a new session means that it is not for this account: no log-in will
        change that.
        """
        # A session that never worked may be dead rather than denied this one resource: tried again, seldom.
        dead = not self._session_works and self._clock() > self._denied.get(path, 0)
        if path not in self._denied or dead:
            self._session_works = False
            if not self._login.forget():
                raise BmcAuthError(
                    f"GET {path}: the BMC refused the log-in of {self._user!r} (HTTP 401)", reason="auth"
                )
            raw = await self._get(path, anonymous=False)
            if raw.status != _UNAUTHORIZED:
                return raw
            self._denied[path] = self._clock() + self._dead_ns
            self._dead_ns = min(2 * self._dead_ns, LONGEST_DEAD_NS)
        raise HttpStatusError(f"GET {path}: HTTP 401 even with a new session", status=_UNAUTHORIZED)

    def offer_sessions(self, path: str | None) -> None:
        """Say where the service root tells to make sessions; a path that worked before is kept."""
        self._login.offer_path(path)

    async def close(self) -> None:
        """Log out, best effort; never raises."""
        await self._login.close()
        self._endpoint.close()

    async def _get(self, path: str, *, anonymous: bool) -> RawAnswer:
        headers = {} if anonymous else await self._login.headers()
        raw = await self._endpoint.send("GET", path, headers=headers)
        # By Basic not even a 200 shows it: some resources are open to everybody.
        self._heard(self._login.has_session)
        return raw


def _asked_wait_s(raw: RawAnswer, clock: Clock) -> float | None:
    if raw.status not in _MAY_ASK_TO_WAIT:
        return None
    return asked_wait_s(raw.headers.get("retry-after"), raw.body, now_s=clock() / 1e9)
