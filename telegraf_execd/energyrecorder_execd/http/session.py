"""Logs in to a BMC: one session, remembered to be ended after a crash; Basic only without sessions."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError, BmcUnreachableError
from energyrecorder_execd.http.decode import decode
from energyrecorder_execd.http.errors import LogInFailedError, asked_wait_s, status_reason
from energyrecorder_execd.http.exchange import RawAnswer
from energyrecorder_execd.http.transport import Endpoint
from energyrecorder_execd.readers.base import Target
from energyrecorder_execd.readers.json_values import target as link_target

SESSION_PATHS = ("/redfish/v1/SessionService/Sessions", "/redfish/v1/Sessions")
"""Where sessions are made if the service root does not say; iDRAC7/8 know the second one only (405 on the
first; idrac_exporter PR 137)."""

LOG_IN_LIMIT_S = 60.0
"""A log-in goes on for this long even if the poll that began it is cancelled, so that no session is made on
the BMC that nobody knows: first log-in after boot was seen to take 12 s (OpenBMC, xcat PR 7556)."""

LOG_OUT_LIMIT_S = 2.0
BASIC_RETRY_NS = 3600 * 10**9
"""After a full session table, sessions are tried again this much later."""

_SUCCESS = frozenset({200, 201, 202, 204})
_SERVER_ERRORS = 500
_NO_SESSIONS = frozenset({404, 405, 410, 501})
_GONE = frozenset({401, 404, 410})
"""What a BMC answers to the deletion of a session that it does not have any more."""
# Message ids of the registries Base, iLO and IDRAC, in lower case, without version.
_FULL = ("sessionlimitexceeded", "rac0218", "createlimitreached", "maximumsessions")
_REFUSED = (
    "unauthorized",
    "authenticationfail",
    "invalidcredential",
    "accountlocked",
    "loginfail",
    "novalidsession",
)

_log = logging.getLogger(__name__)


class SessionLogin:
    """The log-in to one BMC.

    Args:
        target: The BMC and its account.
        endpoint: Its HTTP server.
        facts: Remembered: ``session`` (path of the session to delete) and its ``token``, ``sessions_path``,
            ``auth``.
        clock: Wall clock.
        keep: Writes what is remembered to disk, as soon as there is a session to be deleted.
    """

    def __init__(
        self,
        target: Target,
        endpoint: Endpoint,
        facts: MutableMapping[str, Any],
        clock: Clock,
        keep: Callable[[], None],
    ) -> None:
        self._target = target
        self._endpoint = endpoint
        self._facts = facts
        self._clock = clock
        self._keep = keep
        self._token: str | None = None
        self._basic_since_ns: int | None = None
        self._full = False
        self._pending: asyncio.Task[None] | None = None

    @property
    def has_session(self) -> bool:
        """Whether the BMC accepted the log-in and made a session."""
        return self._token is not None

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request; logs in when there is no session yet.

        Raises:
            BmcAuthError: The BMC refused the log-in, after one attempt.
            BmcError: It could not be asked.
        """
        if self._token is None and not self._basic():
            await self._log_in_once()
        if self._token is not None:
            return {"X-Auth-Token": self._token}
        return self._basic_headers()

    def offer_path(self, path: str | None) -> None:
        """Take ``path`` as the place where sessions are made, unless one is known to work."""
        if path is not None:
            self._facts.setdefault("sessions_path", path)

    def forget(self) -> bool:
        """Drop an expired session; False if there was none, so that a 401 is a refusal."""
        if self._token is None:
            return False
        # It stays in the facts: if the BMC still has it, it is deleted before the next log-in.
        self._token = None
        return True

    async def close(self) -> None:
        """Log out; never raises. The session stays in the facts when the BMC does not confirm."""
        pending, self._pending = self._pending, None
        if pending is not None:
            # A log-in under way is better ended than left as a session that nobody knows.
            await asyncio.wait([pending], timeout=LOG_OUT_LIMIT_S)
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, BmcError):
                await pending
        if self._token is None:
            return
        headers, self._token = {"X-Auth-Token": self._token}, None
        with contextlib.suppress(BmcError, TimeoutError):
            async with asyncio.timeout(LOG_OUT_LIMIT_S):
                await self._delete(headers)

    def _basic(self) -> bool:
        if self._basic_since_ns is None:
            return False
        if self._full and self._clock() - self._basic_since_ns > BASIC_RETRY_NS:
            self._basic_since_ns = None
            return False
        return True

    def _basic_headers(self) -> Mapping[str, str]:
        login = f"{self._target.user}:{self._target.password.reveal()}"
        return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode("ascii")}

    async def _log_in_once(self) -> None:
        # The task outlives a cancelled poll; the next poll waits for the same one.
        if self._pending is None:
            self._pending = asyncio.create_task(self._log_in())
        pending = self._pending
        try:
            await asyncio.shield(pending)
        except asyncio.CancelledError as late:
            late.add_note("the log-in goes on")
            raise
        finally:
            if pending.done() and self._pending is pending:
                self._pending = None
                if not pending.cancelled():
                    pending.exception()

    async def _log_in(self) -> None:
        try:
            async with asyncio.timeout(LOG_IN_LIMIT_S):
                left_over = await self._end_left_over()
                await self._log_in_somehow()
                if left_over is not None and self._token is not None:
                    with contextlib.suppress(BmcError):
                        await self._endpoint.send("DELETE", left_over, headers={"X-Auth-Token": self._token})
        except TimeoutError:
            raise BmcUnreachableError("log-in: no answer in time", reason="timeout") from None

    async def _end_left_over(self) -> str | None:
        """End the session of a process that was killed by its own token: a BMC has few, and never has two.

        Returns:
            Its path if the BMC may still have it: then the next session deletes it.
        """
        path, token = self._facts.get("session"), self._facts.get("token")
        if isinstance(path, str) and isinstance(token, str):
            await self._delete({"X-Auth-Token": token})
        left = self._facts.get("session")
        return left if isinstance(left, str) else None

    async def _log_in_somehow(self) -> None:
        known = self._facts.get("sessions_path")
        for path in dict.fromkeys((known, *SESSION_PATHS) if isinstance(known, str) else SESSION_PATHS):
            if await self._post(path):
                return
        self._use_basic(full=False)

    async def _post(self, path: str) -> bool:
        """Make a session; False if sessions are not made at ``path``."""
        payload = {"UserName": self._target.user, "Password": self._target.password.reveal()}
        try:
            answer = await self._endpoint.send("POST", path, payload=payload)
        except BmcDataError as error:
            raise LogInFailedError(str(error), reason=error.reason) from None
        if answer.status in _NO_SESSIONS:
            return False
        if answer.status in _SUCCESS:
            self._accept(path, answer)
            return True
        said = answer.body[:4096].decode("utf-8", "replace").lower()
        if any(word in said for word in _FULL):
            self._use_basic(full=True)
            return True
        # iLO answers wrong credentials with 400 and UnauthorizedLoginAttempt.
        if answer.status in {401, 403} or any(word in said for word in _REFUSED):
            raise BmcAuthError(
                f"POST {path}: the BMC refused the log-in of {self._target.user!r} (HTTP {answer.status})",
                reason="auth",
            )
        raise LogInFailedError(
            f"POST {path}: HTTP {answer.status}",
            reason="busy" if answer.status >= _SERVER_ERRORS else status_reason(answer.status),
            retry_after_s=asked_wait_s(
                answer.headers.get("retry-after"), answer.body, now_s=self._clock() / 1e9
            ),
        )

    def _accept(self, path: str, answer: RawAnswer) -> None:
        token = answer.headers.get("x-auth-token")
        if not token:
            raise LogInFailedError(
                f"POST {path}: HTTP {answer.status} without X-Auth-Token", reason="protocol"
            )
        self._token = token
        self._facts["sessions_path"] = path
        self._facts["auth"] = "session"
        location = _session_location(answer, path)
        if location is not None:
            self._facts["session"], self._facts["token"] = location, token
            self._keep()

    def _use_basic(self, *, full: bool) -> None:
        self._full = full
        self._basic_since_ns = self._clock()
        self._facts["auth"] = "basic"
        why = "its session table is full" if full else "it does not offer sessions"
        _log.warning("%s: HTTP Basic for every request: %s", self._target.server, why)

    async def _delete(self, headers: Mapping[str, str]) -> None:
        """Delete the session of the facts, best effort; forget it when the BMC says that it is gone."""
        path = self._facts.get("session")
        if not isinstance(path, str):
            return
        with contextlib.suppress(BmcError):
            answer = await self._endpoint.send("DELETE", path, headers=headers)
            if answer.status in _SUCCESS | _GONE:
                self._facts.pop("session", None)
                self._facts.pop("token", None)


def _session_location(answer: RawAnswer, path: str) -> str | None:
    """Return the path of the new session, from the header (a path or a whole address) or the body."""
    location = answer.headers.get("location", "")
    if "://" in location:
        location = "/" + location.split("://", 1)[1].partition("/")[2]
    found = link_target(location)
    if found is None:
        with contextlib.suppress(BmcDataError):
            found = link_target(decode(answer.body, path))
    return found
