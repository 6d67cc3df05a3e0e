"""The bytes of IPMI messages and of the two session wrappers around them; pure (IPMI 2.0 rev 1.1, §13)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

RMCP_HEADER = b"\x06\x00\xff\x07"
AUTH_NONE = 0x00
AUTH_RMCP_PLUS = 0x06

PAYLOAD_IPMI = 0x00
PAYLOAD_OPEN_REQUEST = 0x10
PAYLOAD_OPEN_RESPONSE = 0x11
PAYLOAD_RAKP1 = 0x12
PAYLOAD_RAKP2 = 0x13
PAYLOAD_RAKP3 = 0x14
PAYLOAD_RAKP4 = 0x15

BMC_ADDRESS = 0x20
CONSOLE_ADDRESS = 0x81  # system software id, IPMI 2.0 table 5-4

SEND_MESSAGE = 0x34
_TRACK_REQUEST = 0x40

V15_HEADER_BYTES = 14
V20_HEADER_BYTES = 16
_MESSAGE_BYTES = 8  # of the shortest response: addresses, sequence, command, completion code, checksums


class PacketError(ValueError):
    """A datagram is not what it would have to be; it is dropped."""


@dataclass(frozen=True, slots=True)
class Response:
    """One IPMI response message.

    Args:
        netfn: Network function, odd.
        sequence: Sequence number of the request it answers, 0..63.
        command: The command it answers.
        code: Completion code.
        data: What follows the completion code.
    """

    netfn: int
    sequence: int
    command: int
    code: int
    data: bytes


def checksum(data: bytes) -> int:
    """Return the two's complement checksum of IPMI 2.0 §13.8."""
    return -sum(data) & 0xFF


def encode_request(
    *,
    netfn: int,
    command: int,
    data: bytes,
    sequence: int,
    lun: int = 0,
    responder: int = BMC_ADDRESS,
    requester: int = CONSOLE_ADDRESS,
) -> bytes:
    """Return one IPMI request message (IPMI 2.0 figure 13-4).

    Args:
        netfn: Network function, even.
        command: Command byte.
        data: Request data.
        sequence: 0..63; the response repeats it.
        lun: Logical unit of the responder.
        responder: Slave address of who is asked.
        requester: Slave address or software id of who asks.
    """
    head = bytes((responder, netfn << 2 | lun))
    body = bytes((requester, sequence << 2, command)) + data
    return head + bytes((checksum(head),)) + body + bytes((checksum(body),))


def encode_bridged(
    inner: bytes,
    *,
    channel: int,
    sequence: int,
    responder: int = BMC_ADDRESS,
    requester: int = CONSOLE_ADDRESS,
) -> bytes:
    """Return the Send Message request that carries ``inner`` to ``channel`` (IPMI 2.0 §22.7, tracked)."""
    return encode_request(
        netfn=0x06,
        command=SEND_MESSAGE,
        data=bytes((_TRACK_REQUEST | channel,)) + inner,
        sequence=sequence,
        responder=responder,
        requester=requester,
    )


def decode_response(payload: bytes) -> Response:
    """Return the response message in ``payload``.

    Its checksums are not looked at: inside a session the payload is authenticated anyway, and Supermicro
    X9SCM-iiF, X9DRi-F and X9DRFR send wrong ones (FreeIPMI's manual, workaround ``nochecksumcheck``).

    Raises:
        PacketError: It is too short or not a response.
    """
    if len(payload) < _MESSAGE_BYTES:
        raise PacketError("message too short")
    netfn = payload[1] >> 2
    if not netfn & 1:
        raise PacketError("not a response")
    return Response(
        netfn=netfn, sequence=payload[4] >> 2, command=payload[5], code=payload[6], data=payload[7:-1]
    )


def wrap_sessionless(message: bytes) -> bytes:
    """Return the datagram of a message outside any session, in the IPMI 1.5 wrapper (table 13-8)."""
    return RMCP_HEADER + struct.pack("<BIIB", AUTH_NONE, 0, 0, len(message)) + message


def unwrap_sessionless(datagram: bytes) -> bytes:
    """Return the message in a datagram outside any session.

    Raises:
        PacketError: It is not one.
    """
    if len(datagram) < V15_HEADER_BYTES or datagram[4] != AUTH_NONE or not is_ipmi(datagram):
        raise PacketError("not a datagram outside a session")
    length = datagram[V15_HEADER_BYTES - 1]
    if len(datagram) < V15_HEADER_BYTES + length:
        raise PacketError("message truncated")
    return datagram[V15_HEADER_BYTES : V15_HEADER_BYTES + length]


def wrap_setup(payload_type: int, payload: bytes) -> bytes:
    """Return the datagram of a session setup payload: no session yet, nothing signed, sequence 0."""
    return RMCP_HEADER + struct.pack("<BBIIH", AUTH_RMCP_PLUS, payload_type, 0, 0, len(payload)) + payload


def unwrap_setup(datagram: bytes, payload_type: int) -> bytes:
    """Return the session setup payload of that type.

    Raises:
        PacketError: The datagram holds something else.
    """
    if len(datagram) < V20_HEADER_BYTES or not is_ipmi(datagram) or datagram[4] != AUTH_RMCP_PLUS:
        raise PacketError("not a session setup datagram")
    kind, session_id, _, length = struct.unpack_from("<BIIH", datagram, 5)
    if kind != payload_type or session_id:
        raise PacketError("another payload")
    payload = datagram[V20_HEADER_BYTES : V20_HEADER_BYTES + length]
    if len(payload) < length:
        raise PacketError("payload truncated")
    return payload


def is_ipmi(datagram: bytes) -> bool:
    """Tell whether a datagram is RMCP version 1.0, class IPMI; the RMCP sequence is not used."""
    return (
        len(datagram) > len(RMCP_HEADER) and datagram[0] == RMCP_HEADER[0] and datagram[3] == RMCP_HEADER[3]
    )


def session_id_of(datagram: bytes) -> int:
    """Return the session id that a datagram is addressed to; 0 is outside any session."""
    if len(datagram) < V20_HEADER_BYTES or not is_ipmi(datagram) or datagram[4] != AUTH_RMCP_PLUS:
        return 0
    return int.from_bytes(datagram[6:10], "little")
