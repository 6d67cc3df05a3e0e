"""RMCP+ sessions of a BMC: slots, keys, sequence windows, idle time."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from enum import Enum

from energyrecorder_bmcsim.ipmi import rmcp
from energyrecorder_bmcsim.ipmi.crypto import Suite, decrypt, encrypt
from energyrecorder_bmcsim.ipmi.rmcp import WireError

Peer = tuple[str, int]

_WINDOW = 16
_SEQUENCE_MASK = 0xFFFFFFFF
_HALF = 1 << 31
_AES_KEY_SIZE = 16
NS_PER_S = 1_000_000_000


class SequenceWindow:
    """Sequence numbers received: each is good once, within 16 of the highest (IPMI 2.0 §6.12.13)."""

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0

    def accept(self, sequence: int) -> bool:
        """Take note of a number; False when it is 0, a repeat, or outside the window."""
        if sequence == 0:
            return False
        ahead = (sequence - self._highest) & _SEQUENCE_MASK
        if 0 < ahead <= _WINDOW:
            self._seen = (self._seen << ahead | 1) & ((1 << _WINDOW + 1) - 1)
            self._highest = sequence
            return True
        behind = -ahead & _SEQUENCE_MASK
        if ahead < _HALF or behind > _WINDOW or self._seen >> behind & 1:
            return False
        self._seen |= 1 << behind
        return True


class Phase(Enum):
    """How far a log-in has come."""

    OPENED = "opened"
    CHALLENGED = "challenged"
    ACTIVE = "active"


@dataclass(slots=True)
class Session:
    """One session, from Open Session Request on.

    Args:
        session_id: Id that the BMC chose (SIDc).
        console_id: Id that the remote console chose (SIDm).
        tag: Message tag of the Open Session Request, to know its repeats.
        suite: Cipher suite.
        peer: Address and port of the remote console.
        privilege_limit: Highest privilege that the session may get.
        used_ns: Moment of the last good packet.
        handle: Session handle, 1..255.
        phase: How far the log-in has come.
        privilege: Present privilege level.
        console_random: Random number of the remote console (Rm).
        bmc_random: That of the BMC (Rc).
        role: Requested role and user look-up (RoleM).
        name: User name (UNameM).
        integrity_key: SIK, from which ``k1`` (integrity) and ``k2`` (confidentiality) are derived.
        window: Sequence numbers that were received.
        sent: Sequence number of the last packet that was sent.
    """

    session_id: int
    console_id: int
    tag: int
    suite: Suite
    peer: Peer
    privilege_limit: int
    used_ns: int
    handle: int
    phase: Phase = Phase.OPENED
    privilege: int = 0
    console_random: bytes = b""
    bmc_random: bytes = b""
    role: int = 0
    name: bytes = b""
    integrity_key: bytes = field(default=b"", repr=False)
    k1: bytes = field(default=b"", repr=False)
    k2: bytes = field(default=b"", repr=False)
    window: SequenceWindow = field(default_factory=SequenceWindow)
    sent: int = 0

    def open(self, packet: rmcp.Packet20) -> bytes:
        """Return the payload of a packet of this session.

        Raises:
            WireError: Not authenticated and encrypted as agreed, or its sequence number is not good.
        """
        if not (packet.authenticated and packet.encrypted):
            raise WireError("a packet without the agreed protection")
        size = self.suite.auth_code_size
        body, code = packet.signed[:-size], packet.signed[-size:]
        if not hmac.compare_digest(self.suite.auth_code(self.k1, body), code):
            raise WireError("AuthCode wrong")
        if not self.window.accept(packet.sequence):
            raise WireError("session sequence number repeated or outside the window")
        return decrypt(self.k2[:_AES_KEY_SIZE], packet.payload)

    def seal(self, message: bytes) -> bytes:
        """Return the datagram that carries an IPMI message to the remote console."""
        self.sent = self.sent % _SEQUENCE_MASK + 1
        sealed = encrypt(self.k2[:_AES_KEY_SIZE], message)
        body = rmcp.protected_body(
            rmcp.PayloadType.IPMI, sealed, session_id=self.console_id, sequence=self.sent
        )
        return rmcp.wrap_protected(body, self.suite.auth_code(self.k1, body))


class SessionTable:
    """The sessions of one BMC.

    Args:
        slots: Sessions that fit, pending log-ins included.
        idle_s: Seconds after which an unused session ends.
    """

    def __init__(self, *, slots: int, idle_s: float) -> None:
        self.slots = slots
        self._idle_ns = round(idle_s * NS_PER_S)
        self._sessions: dict[int, Session] = {}

    def active(self, now_ns: int) -> list[Session]:
        """Return the sessions that are logged in."""
        self._expire(now_ns)
        return [session for session in self._sessions.values() if session.phase is Phase.ACTIVE]

    def find(self, session_id: int, now_ns: int) -> Session | None:
        """Return the session with this id of the BMC, or None."""
        self._expire(now_ns)
        return self._sessions.get(session_id)

    def repeated(self, peer: Peer, console_id: int, tag: int, suite: Suite) -> Session | None:
        """Return the log-in that an Open Session Request repeats because the answer was lost, or None."""
        wanted = (Phase.OPENED, peer, console_id, tag, suite)
        for session in self._sessions.values():
            if (session.phase, session.peer, session.console_id, session.tag, session.suite) == wanted:
                return session
        return None

    def open(
        self, peer: Peer, console_id: int, tag: int, suite: Suite, privilege_limit: int, now_ns: int
    ) -> Session | None:
        """Return a new session, or None when all slots are taken by sessions that are logged in.

        The oldest log-in that is still pending gives way.
        """
        self._expire(now_ns)
        if len(self._sessions) >= self.slots:
            pending = [known for known in self._sessions.values() if known.phase is not Phase.ACTIVE]
            if not pending:
                return None
            self.drop(min(pending, key=lambda known: known.used_ns))
        session_id = 0
        while session_id == 0 or session_id in self._sessions:
            session_id = secrets.randbits(32)
        taken = {known.handle for known in self._sessions.values()}
        handle = next(number for number in range(1, len(taken) + 2) if number not in taken)
        session = Session(session_id, console_id, tag, suite, peer, privilege_limit, now_ns, handle)
        self._sessions[session_id] = session
        return session

    def drop(self, session: Session) -> None:
        """Forget a session."""
        self._sessions.pop(session.session_id, None)

    def clear(self) -> None:
        """Forget all sessions."""
        self._sessions.clear()

    def _expire(self, now_ns: int) -> None:
        idle = [known for known in self._sessions.values() if now_ns - known.used_ns > self._idle_ns]
        for session in idle:
            self.drop(session)
