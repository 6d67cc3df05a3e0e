"""RMCP datagrams on UDP port 623: ASF presence ping, IPMI v1.5 wrapper, IPMI v2.0 (RMCP+) wrapper."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

RMCP_VERSION = 0x06
NO_ACK_SEQUENCE = 0xFF
CLASS_ASF = 0x06
CLASS_IPMI = 0x07
CLASS_ACK = 0x80
ASF_IANA = 4542
ASF_PING = 0x80
ASF_PONG = 0x40
AUTH_NONE = 0x00
AUTH_RMCPP = 0x06
NEXT_HEADER = 0x07

_HEADER = struct.Struct("<4B")
_ASF = struct.Struct(">IBBBB")
_V15 = struct.Struct("<BIIB")
_V20 = struct.Struct("<BBIIH")


class WireError(ValueError):
    """A datagram is not what the standard says; a BMC drops it without an answer."""


class PayloadType(IntEnum):
    """Payload types of RMCP+ (IPMI 2.0 table 13-16)."""

    IPMI = 0x00
    OPEN_SESSION_REQUEST = 0x10
    OPEN_SESSION_RESPONSE = 0x11
    RAKP_1 = 0x12
    RAKP_2 = 0x13
    RAKP_3 = 0x14
    RAKP_4 = 0x15


@dataclass(frozen=True, slots=True)
class Ping:
    """An ASF presence ping (IPMI 2.0 §13.2.3).

    Args:
        tag: Message tag that the pong repeats.
        sequence: RMCP sequence number; 255 when the sender wants no RMCP acknowledgement.
    """

    tag: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Packet15:
    """An IPMI message in the v1.5 wrapper, outside any session (IPMI 2.0 table 13-8).

    Args:
        payload: The IPMI message.
    """

    payload: bytes


@dataclass(frozen=True, slots=True)
class Packet20:
    """A payload in the v2.0 wrapper (IPMI 2.0 table 13-8).

    Args:
        payload_type: The lower six bits of the payload type byte.
        encrypted: Whether the payload is encrypted.
        authenticated: Whether an AuthCode follows.
        session_id: The receiver's session id; 0 outside a session.
        sequence: Session sequence number; 0 outside a session.
        payload: The payload as it was on the wire.
        signed: What an AuthCode covers, and the AuthCode behind it; empty when not authenticated.
    """

    payload_type: int
    encrypted: bool
    authenticated: bool
    session_id: int
    sequence: int
    payload: bytes
    signed: bytes = b""


def parse(datagram: bytes) -> Ping | Packet15 | Packet20:
    """Return what a datagram carries.

    Raises:
        WireError: The datagram is no RMCP message to a BMC, or shorter than it claims.
    """
    if len(datagram) < _HEADER.size:
        raise WireError("shorter than an RMCP header")
    version, _, sequence, message_class = _HEADER.unpack_from(datagram)
    if version != RMCP_VERSION:
        raise WireError(f"RMCP version {version}")
    body = datagram[_HEADER.size :]
    if message_class == CLASS_ASF:
        return _parse_ping(body, sequence)
    if message_class != CLASS_IPMI or not body:
        raise WireError(f"RMCP class {message_class}")
    if body[0] == AUTH_RMCPP:
        return _parse_v20(body)
    return _parse_v15(body)


def pong(tag: int) -> bytes:
    """Return an ASF presence pong that announces IPMI (IPMI 2.0 §13.2.4)."""
    entities = struct.pack(">IIBB6x", ASF_IANA, 0, 0x81, 0x00)
    return _header(CLASS_ASF) + _ASF.pack(ASF_IANA, ASF_PONG, tag, 0, len(entities)) + entities


def acknowledgement(sequence: int) -> bytes:
    """Return the RMCP acknowledgement of an ASF message with this sequence number (ASF 2.0 §3.2.2.3)."""
    return _HEADER.pack(RMCP_VERSION, 0, sequence, CLASS_ASF | CLASS_ACK)


def wrap_v15(message: bytes) -> bytes:
    """Return an IPMI message in the v1.5 wrapper outside a session."""
    return _header(CLASS_IPMI) + _V15.pack(AUTH_NONE, 0, 0, len(message)) + message


def wrap_v20(payload_type: int, payload: bytes, *, session_id: int = 0, sequence: int = 0) -> bytes:
    """Return a payload in the v2.0 wrapper; for protected ones see `protected_body`."""
    body = _V20.pack(AUTH_RMCPP, payload_type, session_id, sequence, len(payload)) + payload
    return _header(CLASS_IPMI) + body


def protected_body(payload_type: int, sealed: bytes, *, session_id: int, sequence: int) -> bytes:
    """Return the octets that the AuthCode of an encrypted, authenticated packet covers.

    They run from the authentication type to the next-header field; FFh octets pad them to a multiple of
    four (IPMI 2.0 table 13-8).

    Args:
        payload_type: Payload type without flags.
        sealed: The encrypted payload with its initialisation vector.
        session_id: The receiver's session id.
        sequence: Session sequence number.
    """
    head = _V20.pack(AUTH_RMCPP, 0xC0 | payload_type, session_id, sequence, len(sealed)) + sealed
    padding = -(len(head) + 2) % 4
    return head + b"\xff" * padding + bytes((padding, NEXT_HEADER))


def wrap_protected(body: bytes, auth_code: bytes) -> bytes:
    """Return the datagram of a body of `protected_body` and its AuthCode."""
    return _header(CLASS_IPMI) + body + auth_code


def _header(message_class: int) -> bytes:
    return _HEADER.pack(RMCP_VERSION, 0, NO_ACK_SEQUENCE, message_class)


def _parse_ping(body: bytes, sequence: int) -> Ping:
    if len(body) < _ASF.size:
        raise WireError("ASF message cut short")
    iana, message_type, tag, _, _ = _ASF.unpack_from(body)
    if iana != ASF_IANA or message_type != ASF_PING:
        raise WireError(f"ASF message {message_type:#x} of {iana}")
    return Ping(tag, sequence)


def _parse_v15(body: bytes) -> Packet15:
    if len(body) < _V15.size:
        raise WireError("v1.5 session header cut short")
    auth_type, sequence, session_id, length = _V15.unpack_from(body)
    if auth_type != AUTH_NONE or session_id or sequence:
        raise WireError("a v1.5 session, which this BMC does not offer")
    payload = body[_V15.size : _V15.size + length]
    if len(payload) != length:
        raise WireError("v1.5 payload cut short")
    return Packet15(payload)


def _parse_v20(body: bytes) -> Packet20:
    if len(body) < _V20.size:
        raise WireError("v2.0 session header cut short")
    _, type_byte, session_id, sequence, length = _V20.unpack_from(body)
    payload = body[_V20.size : _V20.size + length]
    if len(payload) != length:
        raise WireError("v2.0 payload cut short")
    authenticated = bool(type_byte & 0x40)
    return Packet20(
        payload_type=type_byte & 0x3F,
        encrypted=bool(type_byte & 0x80),
        authenticated=authenticated,
        session_id=session_id,
        sequence=sequence,
        payload=payload,
        signed=body if authenticated else b"",
    )
