"""Log-in to RMCP+: Open Session and RAKP messages with their status codes (IPMI 2.0 §13.17 to §13.24)."""

from __future__ import annotations

import hmac
import os
import struct
from dataclasses import dataclass
from enum import IntEnum

from energyrecorder_bmcsim.ipmi.crypto import SUITES, Suite, derive_key
from energyrecorder_bmcsim.ipmi.faults import FaultPlan
from energyrecorder_bmcsim.ipmi.rmcp import WireError
from energyrecorder_bmcsim.ipmi.session import Peer, Phase, Session, SessionTable
from energyrecorder_bmcsim.ipmi.settings import IpmiSettings

_OPEN = struct.Struct("<BBxxI")
_ALGORITHM = struct.Struct("<BxxBBxxx")
_RAKP_1 = struct.Struct("<B3xI16sBxxB")
_RAKP_3 = struct.Struct("<BBxxI")
_ANSWER = struct.Struct("<BBBxI")
_ALGORITHM_SIZE = 8
_NAME_LIMIT = 16
_ROLE_MASK = 0x0F
_ROLES = range(1, 5)
_USER_PRIVILEGE = 2
_HIGHEST_PRIVILEGE = 4


class Status(IntEnum):
    """RMCP+ and RAKP status codes (IPMI 2.0 table 13-15)."""

    OK = 0x00
    INSUFFICIENT_RESOURCES = 0x01
    INVALID_SESSION_ID = 0x02
    INVALID_ROLE = 0x09
    UNAUTHORIZED_ROLE = 0x0A
    INVALID_NAME_LENGTH = 0x0C
    UNAUTHORIZED_NAME = 0x0D
    INVALID_INTEGRITY_CHECK = 0x0F
    ILLEGAL_PARAMETER = 0x12


class LogInRefusedError(Exception):
    """A step of a log-in ends with a status other than 00h.

    Args:
        status: The status code.
        console_id: The remote console's session id for the answer; 0 when not known.
    """

    def __init__(self, status: int, console_id: int) -> None:
        super().__init__(f"status {status:02X}h")
        self.status = status
        self.console_id = console_id


@dataclass(frozen=True, slots=True)
class LogInCounts:
    """How log-ins went.

    Args:
        done: Sessions that came to life.
        refused: Steps answered with a status other than 00h.
    """

    done: int
    refused: int


class LogIn:
    """The BMC's side of log-ins.

    Args:
        settings: Account, suites, key.
        guid: System GUID, 16 octets.
        sessions: Where sessions live.
        faults: What goes wrong.
    """

    def __init__(
        self, settings: IpmiSettings, guid: bytes, sessions: SessionTable, faults: FaultPlan
    ) -> None:
        self._settings = settings
        self._guid = guid
        self._sessions = sessions
        self._faults = faults
        self._done = 0
        self._refused = 0

    @property
    def counts(self) -> LogInCounts:
        """How log-ins went up to now."""
        return LogInCounts(self._done, self._refused)

    def open_session(self, payload: bytes, peer: Peer, now_ns: int) -> bytes:
        """Return the answer to an Open Session Request (IPMI 2.0 tables 13-9 and 13-10).

        Raises:
            WireError: The request is cut short.
        """
        if len(payload) < _OPEN.size:
            raise WireError("Open Session Request cut short")
        tag, privilege, console_id = _OPEN.unpack_from(payload)
        try:
            session = self._open(payload, peer, now_ns)
        except LogInRefusedError as refusal:
            return self._refuse(tag, refusal)
        granted = min(privilege & _ROLE_MASK or _HIGHEST_PRIVILEGE, session.privilege_limit)
        chosen = (session.suite.authentication, session.suite.integrity, session.suite.confidentiality)
        return (
            _ANSWER.pack(tag, Status.OK, granted, console_id)
            + struct.pack("<I", session.session_id)
            + b"".join(
                _ALGORITHM.pack(number, _ALGORITHM_SIZE, algorithm) for number, algorithm in enumerate(chosen)
            )
        )

    def rakp_1(self, payload: bytes, now_ns: int) -> bytes:
        """Return RAKP message 2 in answer to RAKP message 1 (IPMI 2.0 tables 13-11 and 13-12).

        Raises:
            WireError: The message is cut short.
        """
        if len(payload) < _RAKP_1.size:
            raise WireError("RAKP message 1 cut short")
        tag, session_id, random, role, length = _RAKP_1.unpack_from(payload)
        name = payload[_RAKP_1.size :][:length]
        try:
            session = self._pending(session_id, now_ns)
            self._check_account(session, role, length, name)
        except LogInRefusedError as refusal:
            return self._refuse(tag, refusal)
        if (session.console_random, session.role, session.name) != (random, role, name):
            session.console_random, session.role, session.name = random, role, name
            session.bmc_random = os.urandom(16)
        session.phase = Phase.CHALLENGED
        ids = struct.pack("<II", session.console_id, session.session_id)
        signed = ids + random + session.bmc_random + self._guid + _role_and_name(session)
        code = session.suite.hash(self._settings.password, signed)
        if self._faults.strikes("rakp2_code_wrong", now_ns):
            code = _spoilt(code)
        answer = _ANSWER.pack(tag, Status.OK, 0, session.console_id)
        return answer + session.bmc_random + self._guid + code

    def rakp_3(self, payload: bytes, now_ns: int) -> bytes | None:
        """Return RAKP message 4 in answer to RAKP message 3 (IPMI 2.0 tables 13-13 and 13-14).

        None when the remote console gives up: it gets no answer.

        Raises:
            WireError: The message is cut short.
        """
        if len(payload) < _RAKP_3.size:
            raise WireError("RAKP message 3 cut short")
        tag, status, session_id = _RAKP_3.unpack_from(payload)
        session = self._sessions.find(session_id, now_ns)
        if status != Status.OK:
            if session is not None:
                self._give_up(session)
                self._refused += 1
            return None
        try:
            session = self._proven(session, payload[_RAKP_3.size :])
        except LogInRefusedError as refusal:
            return self._refuse(tag, refusal)
        if session.phase is Phase.CHALLENGED:
            self._activate(session, now_ns)
        signed = session.console_random + struct.pack("<I", session.session_id) + self._guid
        code = session.suite.auth_code(session.integrity_key, signed)
        if self._faults.strikes("rakp4_code_wrong", now_ns):
            code = _spoilt(code)
        return _ANSWER.pack(tag, Status.OK, 0, session.console_id) + code

    def _open(self, payload: bytes, peer: Peer, now_ns: int) -> Session:
        tag, privilege, console_id = _OPEN.unpack_from(payload)
        if privilege & _ROLE_MASK > _HIGHEST_PRIVILEGE:
            raise LogInRefusedError(Status.INVALID_ROLE, console_id)
        suite = self._choose_suite(payload[_OPEN.size :], console_id, now_ns)
        repeated = self._sessions.repeated(peer, console_id, tag, suite)
        if repeated is not None:
            return repeated
        full = self._faults.strikes("slots_full", now_ns)
        limit = privilege & _ROLE_MASK or _HIGHEST_PRIVILEGE
        session = None if full else self._sessions.open(peer, console_id, tag, suite, limit, now_ns)
        if session is None:
            raise LogInRefusedError(Status.INSUFFICIENT_RESOURCES, console_id)
        return session

    def _choose_suite(self, proposal: bytes, console_id: int, now_ns: int) -> Suite:
        """Return the first offered suite that the proposal allows; length 0 leaves the choice to the BMC."""
        if len(proposal) < 3 * _ALGORITHM.size:
            raise LogInRefusedError(Status.ILLEGAL_PARAMETER, console_id)
        wanted: list[int | None] = []
        for position, (number, length, algorithm) in enumerate(
            _ALGORITHM.iter_unpack(proposal[: 3 * _ALGORITHM.size])
        ):
            if number != position or length not in (0, _ALGORITHM_SIZE):
                raise LogInRefusedError(Status.ILLEGAL_PARAMETER, console_id)
            wanted.append(algorithm if length else None)
        if wanted[0] == SUITES[17].authentication and self._faults.strikes("suite_downgrade", now_ns):
            return SUITES[3]
        for suite in (SUITES[number] for number in self._settings.suites):
            offered = (suite.authentication, suite.integrity, suite.confidentiality)
            if all(want is None or want == have for want, have in zip(wanted, offered, strict=True)):
                return suite
        raise LogInRefusedError(self._settings.suite_refusal, console_id)

    def _pending(self, session_id: int, now_ns: int) -> Session:
        session = self._sessions.find(session_id, now_ns)
        if session is None or session.phase is Phase.ACTIVE:
            raise LogInRefusedError(Status.INVALID_SESSION_ID, 0)
        return session

    def _check_account(self, session: Session, role: int, length: int, name: bytes) -> None:
        if length > _NAME_LIMIT or len(name) != length:
            raise LogInRefusedError(Status.INVALID_NAME_LENGTH, session.console_id)
        if role & _ROLE_MASK not in _ROLES:
            raise LogInRefusedError(Status.INVALID_ROLE, session.console_id)
        if name != self._settings.user:
            raise LogInRefusedError(Status.UNAUTHORIZED_NAME, session.console_id)
        if role & _ROLE_MASK > min(self._settings.privilege_limit, session.privilege_limit):
            raise LogInRefusedError(Status.UNAUTHORIZED_ROLE, session.console_id)

    def _proven(self, session: Session | None, proof: bytes) -> Session:
        if session is None or session.phase is Phase.OPENED:
            raise LogInRefusedError(Status.INVALID_SESSION_ID, 0)
        signed = session.bmc_random + struct.pack("<I", session.console_id) + _role_and_name(session)
        good = session.suite.hash(self._settings.password, signed)
        if not hmac.compare_digest(good, proof[: len(good)]):
            self._give_up(session)
            raise LogInRefusedError(Status.INVALID_INTEGRITY_CHECK, session.console_id)
        return session

    def _give_up(self, session: Session) -> None:
        if session.phase is not Phase.ACTIVE:
            self._sessions.drop(session)

    def _activate(self, session: Session, now_ns: int) -> None:
        signed = session.console_random + session.bmc_random + _role_and_name(session)
        key = self._settings.kg or self._settings.password
        session.integrity_key = session.suite.hash(key, signed)
        session.k1 = derive_key(session.suite, session.integrity_key, 1)
        session.k2 = derive_key(session.suite, session.integrity_key, 2)
        session.privilege_limit = session.role & _ROLE_MASK
        session.privilege = min(_USER_PRIVILEGE, session.privilege_limit)
        session.used_ns = now_ns
        session.phase = Phase.ACTIVE
        self._done += 1

    def _refuse(self, tag: int, refusal: LogInRefusedError) -> bytes:
        self._refused += 1
        return _ANSWER.pack(tag, refusal.status, 0, refusal.console_id)


def _role_and_name(session: Session) -> bytes:
    return bytes((session.role, len(session.name))) + session.name


def _spoilt(code: bytes) -> bytes:
    return bytes((code[0] ^ 0xFF,)) + code[1:]
