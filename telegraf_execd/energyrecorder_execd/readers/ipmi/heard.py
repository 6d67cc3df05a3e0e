"""Lets somebody hear the requests to one BMC and their answers: traffic log, ``record``, the deadline."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.base import Heard
from energyrecorder_execd.readers.ipmi.transport import Bridge, CompletionCodeError, Transport

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IpmiExchange:
    """One request inside a session; the log-in and its keys are not among them.

    Args:
        netfn: Network function of the request; command: its command.
        data: Request data.
        lun: Logical unit that it was for.
        bridge: The satellite controller asked; None was the BMC itself.
        outcome: Response data without completion code, or why there is none.
    """

    netfn: int
    command: int
    data: bytes
    lun: int
    bridge: Bridge | None
    outcome: bytes | BmcError

    def request_text(self) -> str:
        """Return the request as hex, such as ``2c/02 dc010000``, or ``@6/2c 2e/c8 …`` to a satellite."""
        where = "" if self.bridge is None else f"@{self.bridge} "
        lun = f".{self.lun}" if self.lun else ""
        return f"{where}{self.netfn:02x}{lun}/{self.command:02x} {self.data.hex()}".rstrip()

    def answer_text(self) -> str | None:
        """Return completion code and response data as hex; None where there was no answer."""
        if isinstance(self.outcome, bytes):
            return f"00{self.outcome.hex()}"
        return f"{self.outcome.code:02x}" if isinstance(self.outcome, CompletionCodeError) else None

    def as_text(self) -> str:
        """Return request and response, such as ``2c/02 dc010000 -> dcd800…``."""
        told = self.outcome.hex() if isinstance(self.outcome, bytes) else str(self.outcome)
        return f"{self.request_text()} -> {told}"


IpmiListener = Callable[[IpmiExchange], None]


def log_traffic(server: str) -> IpmiListener:
    """Return a listener that logs what it hears, for a server whose entry says ``debug = true``."""

    def heard(exchange: IpmiExchange) -> None:
        _log.info("%s: ipmi %s", server, exchange.as_text())

    return heard


def tell_progress(heard: Heard) -> IpmiListener:
    """Return a listener that tells each answer, refusals included; who gets one is logged in."""

    def answered(exchange: IpmiExchange) -> None:
        if isinstance(exchange.outcome, bytes | CompletionCodeError):
            heard(True)  # has the shape of `Heard`

    return answered


class HeardTransport:
    """A transport whose requests are heard; keeps the contract of the one within.

    Args:
        within: Carries the requests.
        listeners: Hear each request when it is answered.
    """

    def __init__(self, within: Transport, listeners: tuple[IpmiListener, ...]) -> None:
        self._within = within
        self._listeners = listeners

    @property
    def requests(self) -> int:
        """Requests sent since the start, log-ins included, retransmissions not."""
        return self._within.requests

    @property
    def log_ins(self) -> int:
        """Successful log-ins since the start."""
        return self._within.log_ins

    async def open(self) -> None:
        """Log in unless logged in; see the contract."""
        await self._within.open()

    async def request(
        self, netfn: int, command: int, data: bytes = b"", *, lun: int = 0, bridge: Bridge | None = None
    ) -> bytes:
        """Send one request and return the response's data; see the contract."""
        try:
            answer = await self._within.request(netfn, command, data, lun=lun, bridge=bridge)
        except BmcError as error:
            self._tell(IpmiExchange(netfn, command, data, lun, bridge, error))
            raise
        self._tell(IpmiExchange(netfn, command, data, lun, bridge, answer))
        return answer

    async def close(self) -> None:
        """End the session on the BMC, best effort; never raises."""
        await self._within.close()

    def _tell(self, exchange: IpmiExchange) -> None:
        for listener in self._listeners:
            listener(exchange)
