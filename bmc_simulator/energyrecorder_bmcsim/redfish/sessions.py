"""Log-ins of a simulated BMC: sessions with a limit and an expiry, and Basic authentication."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass

from energyrecorder.secret import Secret
from energyrecorder_bmcsim.power import NS_PER_S


@dataclass(slots=True)
class Session:
    """One session.

    Args:
        session_id: Last part of its path.
        token: What the client sends as X-Auth-Token.
        used_ns: When it was last used, nanoseconds since the Unix epoch, UTC.
        calls: Requests made with it.
    """

    session_id: str
    token: str
    used_ns: int
    calls: int = 0


@dataclass(slots=True)
class LogInStats:
    """What is counted of log-ins.

    Args:
        log_ins: Sessions created.
        basic_requests: Requests with right Basic credentials.
        refused: Wrong credentials, of either kind.
        most_sessions: Sessions that lived at the same time, at most.
    """

    log_ins: int = 0
    basic_requests: int = 0
    refused: int = 0
    most_sessions: int = 0


class SessionTable:
    """The sessions of one BMC.

    Args:
        user: The one account.
        password: Its password.
        limit: Sessions that may live at a time.
        expiry_s: A session not used for so long is forgotten, seconds.
    """

    def __init__(self, user: str, password: Secret, *, limit: int, expiry_s: float) -> None:
        self._user = user
        self._password = password
        self._limit = limit
        self._expiry_ns = round(expiry_s * NS_PER_S)
        self._sessions: dict[str, Session] = {}
        self._next_id = 1
        self.stats = LogInStats()

    def live(self, now_ns: int) -> list[Session]:
        """Return the sessions that live at ``now_ns``."""
        for session in [s for s in self._sessions.values() if now_ns - s.used_ns > self._expiry_ns]:
            self.drop(session)
        return list(self._sessions.values())

    def full(self, now_ns: int) -> bool:
        """Tell whether no further session is possible."""
        return len(self.live(now_ns)) >= self._limit

    def accepts(self, user: object, password: object) -> bool:
        """Tell whether these are the right credentials; counts a refusal."""
        given = f"{user}\0{password}".encode()
        wanted = f"{self._user}\0{self._password.reveal()}".encode()
        if hmac.compare_digest(given, wanted):
            return True
        self.stats.refused += 1
        return False

    def create(self, now_ns: int) -> Session:
        """Return a new session."""
        session = Session(str(self._next_id), secrets.token_hex(16), now_ns)
        self._next_id += 1
        self._sessions[session.token] = session
        self.stats.log_ins += 1
        self.stats.most_sessions = max(self.stats.most_sessions, len(self.live(now_ns)))
        return session

    def by_token(self, token: str, now_ns: int) -> Session | None:
        """Return the live session of ``token`` and mark it as used; None if there is none."""
        session = self._sessions.get(token)
        if session is None:
            return None
        if now_ns - session.used_ns > self._expiry_ns:
            self.drop(session)
            return None
        session.used_ns = now_ns
        session.calls += 1
        return session

    def by_id(self, session_id: str, now_ns: int) -> Session | None:
        """Return the live session with that id; None if there is none."""
        return next((s for s in self.live(now_ns) if s.session_id == session_id), None)

    def drop(self, session: Session) -> None:
        """Forget a session."""
        self._sessions.pop(session.token, None)

    def drop_all(self) -> None:
        """Forget all sessions, as a BMC does that restarts."""
        self._sessions.clear()

    def accepts_basic(self, header: str) -> bool:
        """Tell whether an Authorization header carries the right credentials; counts either way."""
        scheme, _, encoded = header.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            self.stats.refused += 1
            return False
        if scheme.lower() != "basic" or not self.accepts(user, password):
            return False
        self.stats.basic_requests += 1
        return True
