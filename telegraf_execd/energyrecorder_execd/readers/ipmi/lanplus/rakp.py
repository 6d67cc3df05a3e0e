"""The messages that set up an RMCP+ session: open session and RAKP 1 to 4; pure (IPMI 2.0 §13.17-13.24)."""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder_execd.readers.ipmi.lanplus.crypto import SessionKeys, Suite, session_keys
from energyrecorder_execd.readers.ipmi.lanplus.packet import PacketError

STATUS_OK = 0x00
STATUS_BAD_INTEGRITY_CHECK = 0x0F
NAME_ONLY_LOOKUP = 0x10

STATUS_TEXTS = {
    0x01: "insufficient resources to create a session",
    0x02: "invalid session id",
    0x03: "invalid payload type",
    0x04: "invalid authentication algorithm",
    0x05: "invalid integrity algorithm",
    0x06: "no matching authentication payload",
    0x07: "no matching integrity payload",
    0x08: "inactive session id",
    0x09: "invalid role",
    0x0A: "unauthorized role or privilege level requested",
    0x0B: "insufficient resources to create a session at the requested role",
    0x0C: "invalid name length",
    0x0D: "unauthorized name",
    0x0E: "unauthorized GUID",
    0x0F: "invalid integrity check value",
    0x10: "invalid confidentiality algorithm",
    0x11: "no cipher suite match with proposed security algorithms",
    0x12: "illegal or unrecognized parameter",
}
"""RMCP+ and RAKP message status codes (IPMI 2.0 table 13-15)."""

SUITE_REFUSED = frozenset({0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11})
SESSION_GONE = frozenset({0x02, 0x08})
_NO_SLOT = frozenset({0x01, 0x0B})
_NO_PRIVILEGE = frozenset({0x09, 0x0A})
_LOG_IN_REFUSED = frozenset({0x0C, 0x0D, 0x0F})

_OPEN_RESPONSE_BYTES = 36
_RAKP2_BYTES = 40
_RAKP4_BYTES = 8


class StatusError(Exception):
    """The BMC answered a setup message with a status other than 00h.

    Args:
        step: Name of the answer.
        status: Its status code.
    """

    def __init__(self, step: str, status: int) -> None:
        super().__init__(f"{step}: status {status:02X}h ({STATUS_TEXTS.get(status, 'unknown')})")
        self.status = status

    def as_bmc_error(self) -> BmcError:
        """Return the error that the caller of the transport sees."""
        return refusal(self.status, str(self))


def refusal(status: int, text: str) -> BmcError:
    """Return the error that a status code stands for.

    Args:
        status: RMCP+ status code.
        text: What was refused, for the message.
    """
    message = f"IPMI log-in refused: {text}"
    if status in _NO_SLOT:
        return BmcError(message, reason="session_limit")
    if status in _NO_PRIVILEGE:
        return BmcAuthError(message, reason="privilege")
    if status in _LOG_IN_REFUSED:
        return BmcAuthError(message, reason="auth")
    return BmcError(message, reason="unsupported" if status in SUITE_REFUSED else "protocol")


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """Who logs in; without a repr, so that no log shows the keys.

    Args:
        user: Account name.
        password: The user key K_UID.
        kg: The BMC key Kg; empty where none is set, then the user key stands in for it (§13.31).
        privilege: Highest privilege level asked for.
    """

    user: bytes
    password: bytes
    kg: bytes
    privilege: int

    def role(self) -> bytes:
        """Return role, name length and name as they enter messages and hashes; looked up by name only."""
        return bytes((NAME_ONLY_LOOKUP | self.privilege, len(self.user))) + self.user


@dataclass(frozen=True, slots=True)
class Opened:
    """What both sides know after the open session response and RAKP message 1.

    Args:
        suite: Suite that the BMC confirmed.
        local_id: Our session id.
        remote_id: The BMC's session id.
        local_random: Our 16 random bytes.
    """

    suite: Suite
    local_id: int
    remote_id: int
    local_random: bytes


@dataclass(frozen=True, slots=True)
class Challenged:
    """What RAKP message 2 added: the BMC's 16 random bytes and its 16-byte GUID."""

    opened: Opened
    remote_random: bytes
    guid: bytes


def open_request(*, tag: int, local_id: int, suite: Suite) -> bytes:
    """Return the open session request that proposes exactly ``suite`` (table 13-9).

    The level asked for is 0, "the highest that the suite allows": RAKP message 1 narrows it down.
    """
    algorithms = (suite.authentication, suite.integrity, suite.confidentiality)
    proposals = b"".join(struct.pack("<BHBB3x", kind, 0, 8, number) for kind, number in enumerate(algorithms))
    return struct.pack("<BBHI", tag, 0, 0, local_id) + proposals


def parse_open_response(payload: bytes, *, tag: int, local_id: int, suite: Suite) -> int:
    """Return the BMC's session id (table 13-10).

    Raises:
        PacketError: Not the answer to this request.
        StatusError: Refused, or the BMC accepts other algorithms than were proposed, as the server classes
            of pyghmi 1.6 do: that is a downgrade nobody agreed to, and counts as a suite refused.
    """
    _check(payload, tag, "open session response", _OPEN_RESPONSE_BYTES)
    answered_id, remote_id = struct.unpack_from("<II", payload, 4)
    if answered_id != local_id or not remote_id:
        raise PacketError("open session response for another session")
    chosen = (payload[16], payload[24], payload[32])
    if chosen != (suite.authentication, suite.integrity, suite.confidentiality):
        raise StatusError(f"BMC answered cipher suite {suite.number} with other algorithms", 0x11)
    return int(remote_id)


def rakp1(opened: Opened, account: Account, *, tag: int) -> bytes:
    """Return RAKP message 1 (table 13-11)."""
    role = account.role()
    return (
        struct.pack("<B3xI", tag, opened.remote_id)
        + opened.local_random
        + struct.pack("<B2x", role[0])
        + role[1:]
    )


def parse_rakp2(payload: bytes, opened: Opened, account: Account, *, tag: int) -> Challenged:
    """Return what RAKP message 2 says, its key exchange code checked (table 13-12).

    Raises:
        PacketError: Not the answer to this message.
        StatusError: Refused.
        BmcAuthError: The code does not match: the passwords differ.
    """
    suite = opened.suite
    _check(payload, tag, "RAKP message 2", _RAKP2_BYTES + suite.hash_bytes)
    if int.from_bytes(payload[4:8], "little") != opened.local_id:
        raise PacketError("RAKP message 2 for another session")
    challenged = Challenged(opened, remote_random=payload[8:24], guid=payload[24:40])
    hashed = (
        struct.pack("<II", opened.local_id, opened.remote_id)
        + opened.local_random
        + challenged.remote_random
        + challenged.guid
        + account.role()
    )
    code = payload[_RAKP2_BYTES : _RAKP2_BYTES + suite.hash_bytes]
    if not hmac.compare_digest(suite.digest(account.password, hashed), code):
        raise BmcAuthError(
            "IPMI log-in refused: RAKP message 2 does not match our password: wrong password, or not the BMC",
            reason="auth",
        )
    return challenged


def rakp3(challenged: Challenged, account: Account, *, tag: int) -> bytes:
    """Return RAKP message 3 (table 13-13)."""
    opened = challenged.opened
    hashed = challenged.remote_random + struct.pack("<I", opened.local_id) + account.role()
    return struct.pack("<BB2xI", tag, STATUS_OK, opened.remote_id) + opened.suite.digest(
        account.password, hashed
    )


def rakp3_abort(opened: Opened, *, tag: int) -> bytes:
    """Return the RAKP message 3 that tells the BMC to forget the session: its message 2 did not match."""
    return struct.pack("<BB2xI", tag, STATUS_BAD_INTEGRITY_CHECK, opened.remote_id)


def parse_rakp4(payload: bytes, challenged: Challenged, account: Account, *, tag: int) -> SessionKeys:
    """Return the session's keys once RAKP message 4 proves that both sides hold the same (table 13-14).

    Raises:
        PacketError: Not the answer to this message.
        StatusError: Refused.
        BmcAuthError: The code does not match: Kg differs.
    """
    opened = challenged.opened
    suite = opened.suite
    _check(payload, tag, "RAKP message 4", _RAKP4_BYTES + suite.code_bytes)
    if int.from_bytes(payload[4:8], "little") != opened.local_id:
        raise PacketError("RAKP message 4 for another session")
    exchanged = opened.local_random + challenged.remote_random + account.role()
    integrity_key = suite.digest(account.kg or account.password, exchanged)
    hashed = opened.local_random + struct.pack("<I", opened.remote_id) + challenged.guid
    code = payload[_RAKP4_BYTES : _RAKP4_BYTES + suite.code_bytes]
    if not hmac.compare_digest(suite.code(integrity_key, hashed), code):
        raise BmcAuthError(
            "IPMI log-in refused: RAKP message 4 does not match: kg is set on one side only, or differs",
            reason="auth",
        )
    return session_keys(suite, integrity_key)


def _check(payload: bytes, tag: int, step: str, least_bytes: int) -> None:
    if len(payload) < 2 or payload[0] != tag:  # noqa: PLR2004  # tag and status: all that an error must hold
        raise PacketError(f"{step} with another tag")
    if payload[1] != STATUS_OK:
        raise StatusError(step, payload[1])
    if len(payload) < least_bytes:
        raise PacketError(f"{step} truncated")
