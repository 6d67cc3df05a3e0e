"""IPMI messages inside a payload: addresses, network function, checksums, completion codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from energyrecorder_bmcsim.ipmi.rmcp import WireError

BMC_ADDRESS = 0x20
_SHORTEST = 7


class NetFn(IntEnum):
    """Network functions of requests (IPMI 2.0 table 5-1)."""

    CHASSIS = 0x00
    SENSOR = 0x04
    APP = 0x06
    STORAGE = 0x0A
    GROUP = 0x2C
    OEM_GROUP = 0x2E


class Completion(IntEnum):
    """Completion codes (IPMI 2.0 table 5-2)."""

    OK = 0x00
    NODE_BUSY = 0xC0
    INVALID_COMMAND = 0xC1
    RESERVATION_CANCELLED = 0xC5
    LENGTH_INVALID = 0xC7
    PARAMETER_OUT_OF_RANGE = 0xC9
    CANNOT_RETURN_LENGTH = 0xCA
    NOT_PRESENT = 0xCB
    INVALID_DATA = 0xCC
    INSUFFICIENT_PRIVILEGE = 0xD4


class RefusedError(Exception):
    """A command ends with a completion code other than 00h.

    Args:
        code: The completion code, generic (`Completion`) or specific to the command.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"completion code {code:02X}h")
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """An IPMI request (IPMI 2.0 §13.8, IPMB request format).

    Args:
        responder: Slave address of the controller that shall answer.
        netfn: Network function, even.
        lun: Logical unit of the responder.
        requester: Address or software id of the requester.
        sequence: The requester's sequence number, 0..63.
        requester_lun: Logical unit of the requester.
        command: Command code.
        data: Request data without checksum.
    """

    responder: int
    netfn: int
    lun: int
    requester: int
    sequence: int
    requester_lun: int
    command: int
    data: bytes


def checksum(octets: bytes) -> int:
    """Return the two's complement checksum that brings the sum of all octets to 0 modulo 256."""
    return -sum(octets) & 0xFF


def parse_request(payload: bytes) -> Request:
    """Return the request in a payload.

    Raises:
        WireError: Too short, a checksum is wrong, or it is a response.
    """
    if len(payload) < _SHORTEST:
        raise WireError("IPMI message cut short")
    if sum(payload[:3]) & 0xFF or sum(payload[3:]) & 0xFF:
        raise WireError("IPMI checksum wrong")
    netfn = payload[1] >> 2
    if netfn & 1:
        raise WireError("a response sent to the BMC")
    return Request(
        responder=payload[0],
        netfn=netfn,
        lun=payload[1] & 3,
        requester=payload[3],
        sequence=payload[4] >> 2,
        requester_lun=payload[4] & 3,
        command=payload[5],
        data=payload[6:-1],
    )


def build_response(request: Request, body: bytes) -> bytes:
    """Return the response to a request.

    Args:
        request: What is answered.
        body: Completion code and response data.
    """
    head = bytes((request.requester, (request.netfn + 1) << 2 | request.requester_lun))
    tail = bytes((request.responder, request.sequence << 2 | request.lun, request.command)) + body
    return head + bytes((checksum(head),)) + tail + bytes((checksum(tail),))
