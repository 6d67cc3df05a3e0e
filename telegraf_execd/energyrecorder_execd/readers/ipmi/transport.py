"""The contract between the IPMI reader and what carries its requests to a BMC.

``tests/contract/test_ipmi_transport.py`` holds every transport to it:

- `Transport.open` logs in; a refused log-in is `BmcAuthError` after exactly one attempt, silence is
  `BmcUnreachableError` with reason ``timeout``, no free session is `BmcError` with ``session_limit``.
- `Transport.request` sends one request and returns what stands behind the completion code; it logs in first
  if need be, and once again by itself when the BMC no longer answers to the session.
- A completion code other than 00h is `CompletionCodeError`; whatever the BMC or the network does, nothing
  but `BmcError` comes out.
- One request is in flight at a time; a cancelled request leaves the transport usable.
- `Transport.close` ends the session on the BMC, best effort, and never raises.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from energyrecorder.clock import Clock, wall_ns
from energyrecorder.errors import BmcError
from energyrecorder.secret import Secret

NETFN_CHASSIS = 0x00
NETFN_SENSOR = 0x04
NETFN_APP = 0x06
NETFN_STORAGE = 0x0A
NETFN_GROUP = 0x2C
NETFN_OEM_GROUP = 0x2E

NODE_BUSY = 0xC0
INVALID_COMMAND = 0xC1
PROCESSING_TIMEOUT = 0xC3
RESERVATION_CANCELED = 0xC5
SENSOR_NOT_PRESENT = 0xCB
DUPLICATED_REQUEST = 0xCF
INSUFFICIENT_PRIVILEGE = 0xD4

TRANSIENT_CODES = frozenset({NODE_BUSY, PROCESSING_TIMEOUT, DUPLICATED_REQUEST})
"""Codes after which the same request may succeed a moment later."""

_REASONS = {
    NODE_BUSY: "busy",
    PROCESSING_TIMEOUT: "timeout",
    DUPLICATED_REQUEST: "busy",
    INSUFFICIENT_PRIVILEGE: "privilege",
    INVALID_COMMAND: "unsupported",
    0xC2: "unsupported",
    0xC9: "unsupported",
    SENSOR_NOT_PRESENT: "no_reading",
    0xCC: "unsupported",
    0xD5: "no_reading",
    0xD6: "unsupported",
}
_TEXTS = {
    NODE_BUSY: "node busy",
    INVALID_COMMAND: "invalid command",
    0xC2: "command invalid for this LUN",
    PROCESSING_TIMEOUT: "timeout while processing",
    RESERVATION_CANCELED: "reservation canceled",
    0xC7: "request data length invalid",
    0xC9: "parameter out of range",
    0xCA: "cannot return that many bytes",
    SENSOR_NOT_PRESENT: "sensor or record not present",
    0xCC: "invalid data field",
    DUPLICATED_REQUEST: "duplicated request",
    INSUFFICIENT_PRIVILEGE: "insufficient privilege; by the standard user reads all, operator also where "
    "Send Message or sensors are restricted, administrator where operator is refused: docs/privileges.md",
    0xD5: "not supported in present state",
    0xD6: "sub-function disabled",
    0xFF: "unspecified error",
}

PRIVILEGES = {"callback": 1, "user": 2, "operator": 3, "administrator": 4}
"""Privilege levels of a session (IPMI 2.0 §6.8)."""

_RETRY_PAUSE_S = 0.25


class CompletionCodeError(BmcError):
    """The BMC answered a request with a completion code other than 00h.

    Args:
        netfn: Network function of the request.
        command: Its command.
        code: The completion code (IPMI 2.0 table 5-2).
    """

    def __init__(self, netfn: int, command: int, code: int) -> None:
        text = _TEXTS.get(code, "command-specific or OEM code")
        super().__init__(
            f"IPMI request {netfn:02X}h/{command:02X}h refused: completion code {code:02X}h ({text})",
            reason=_REASONS.get(code, "data"),
        )
        self.netfn = netfn
        self.command = command
        self.code = code


@dataclass(frozen=True, slots=True)
class Bridge:
    """A satellite controller behind the BMC, reached by Send Message.

    Args:
        address: Its 8-bit slave address, such as 82h.
        channel: Channel that it sits on, of the BMC or of ``via``; 0 is the primary IPMB.
        via: The satellite that passes requests on to it, by a Send Message of its own; None is the BMC.
    """

    address: int
    channel: int = 0
    via: Bridge | None = None

    def __str__(self) -> str:
        """Return the way to it as in the fleet file, all channels named and without ``0x``: ``0/82:7/72``."""
        way = f"{self.channel:x}/{self.address:02x}"
        return way if self.via is None else f"{self.via}:{way}"


@dataclass(frozen=True, slots=True)
class Login:
    """What a transport needs to log in to one BMC.

    Args:
        address: Host name or IP address.
        port: UDP port.
        user: Account name, at most 16 bytes.
        password: At most 20 bytes (IPMI 2.0 §22.30).
        kg: The BMC's key Kg; ``0x…`` is read as hex; None or empty where none is set.
        privilege: Level asked for, one of the values of `PRIVILEGES`.
        suites: Cipher suites allowed, in the order in which they are tried.
        timeout_s: Deadline of one poll, seconds; retransmission is paced to fit into it.
    """

    address: str
    port: int
    user: str
    password: Secret
    kg: Secret | None = None
    privilege: int = PRIVILEGES["user"]
    suites: tuple[int, ...] = (17, 3)
    timeout_s: float = 8.0

    def user_bytes(self) -> bytes:
        """Return the account name as it goes over the wire.

        Raises:
            BmcError: IPMI has no room for it.
        """
        return _bounded(self.user.encode(), 16, "user name")

    def password_bytes(self) -> bytes:
        """Return the password as a key.

        Raises:
            BmcError: IPMI has no room for it.
        """
        return _bounded(self.password.reveal().encode(), 20, "password")

    def kg_bytes(self) -> bytes:
        """Return Kg; empty if none is set.

        Raises:
            BmcError: It is not hex after ``0x``, or IPMI has no room for it.
        """
        text = self.kg.reveal() if self.kg else ""
        if not text.startswith("0x"):
            return _bounded(text.encode(), 20, "kg")
        try:
            return _bounded(bytes.fromhex(text[2:]), 20, "kg")
        except ValueError:
            raise BmcError("IPMI kg is not hexadecimal after 0x", reason="unsupported") from None


def _bounded(raw: bytes, limit: int, what: str) -> bytes:
    if len(raw) > limit:
        raise BmcError(f"IPMI {what} has {len(raw)} bytes; {limit} are allowed", reason="unsupported")
    return raw


class Transport(Protocol):
    """Carries requests to one BMC; see the contract at the top of this module."""

    @property
    def requests(self) -> int:
        """Requests sent since the start, log-ins included, retransmissions not."""

    @property
    def log_ins(self) -> int:
        """Successful log-ins since the start; a change tells that the BMC may be another one."""

    async def open(self) -> None:
        """Log in unless logged in.

        Raises:
            BmcError: See the contract.
        """

    async def request(
        self, netfn: int, command: int, data: bytes = b"", *, lun: int = 0, bridge: Bridge | None = None
    ) -> bytes:
        """Send one request and return the response's data without its completion code.

        Args:
            netfn: Network function, even.
            command: Command byte.
            data: Request data.
            lun: Logical unit that the request is for.
            bridge: The satellite controller to ask; None asks the BMC itself.

        Raises:
            CompletionCodeError: The BMC refused the request.
            BmcError: See the contract.
        """

    async def close(self) -> None:
        """Log out, best effort."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request, and when it was true.

    Args:
        data: What stands behind the completion code.
        sampled_at_ns: Middle of the request, nanoseconds since the Unix epoch, UTC.
        latency_s: From request to answer, seconds.
    """

    data: bytes
    sampled_at_ns: int
    latency_s: float


async def ask(
    transport: Transport,
    netfn: int,
    command: int,
    data: bytes = b"",
    *,
    lun: int = 0,
    bridge: Bridge | None = None,
    clock: Clock = wall_ns,
    tries: int = 3,
) -> Answer:
    """Send a request, again after a short pause when the BMC says that it is busy.

    A value that came only on the second or third try was seen in the field (check_ipmi_sensor_v3 issue 26).

    Raises:
        CompletionCodeError: Refused for good, or busy each time.
        BmcError: As `Transport.request`.
    """
    loop = asyncio.get_running_loop()
    while True:
        begun_s = loop.time()
        try:
            answer = await transport.request(netfn, command, data, lun=lun, bridge=bridge)
        except CompletionCodeError as error:
            tries -= 1
            if error.code not in TRANSIENT_CODES or tries < 1:
                raise
            await asyncio.sleep(_RETRY_PAUSE_S)
            continue
        latency_s = loop.time() - begun_s
        return Answer(answer, sampled_at_ns=clock() - int(latency_s * 5e8), latency_s=latency_s)
