"""The way to one BMC: sends, resends and waits for the answer, and learns how long answers take."""

from __future__ import annotations

import asyncio
import functools
import secrets
from collections.abc import Callable
from typing import TypeVar

from energyrecorder.errors import BmcError, BmcUnreachableError
from energyrecorder_execd.readers.ipmi.lanplus.endpoint import Endpoint, Peer
from energyrecorder_execd.readers.ipmi.lanplus.packet import PacketError
from energyrecorder_execd.readers.ipmi.lanplus.rakp import StatusError

T = TypeVar("T")

SENDS = 4
_BACKOFF = 1.25
_MOST_WAIT_S = 2.0


class Channel:
    """Datagrams to and from one BMC, one exchange at a time.

    Args:
        endpoint: The sockets shared by all BMCs.
        address: Host name or IP address.
        port: UDP port.
        timeout_s: Deadline of one poll, seconds; four transmissions of a request take about a third of it.
    """

    def __init__(self, endpoint: Endpoint, *, address: str, port: int, timeout_s: float) -> None:
        self.requests = 0
        self.unanswered = 0
        self.heard_at_s = 0.0
        self._sent_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._endpoint = endpoint
        self._address = address
        self._port = port
        self._peer: Peer | None = None
        self._routed_id = 0
        self._receiver: Callable[[bytes], None] | None = None
        self._sequence = secrets.randbelow(64)
        self._tag = secrets.randbelow(256)
        self._least_wait_s = min(0.5, timeout_s / 16)
        self._wait_s = 2 * self._least_wait_s

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._receiver is not None

    async def locate(self) -> None:
        """Resolve the BMC's name, anew for each log-in.

        Raises:
            BmcUnreachableError: It does not resolve.
        """
        self._peer = await self._endpoint.resolve(self._address, self._port)
        self._wait_s = max(self._wait_s, 2 * self._least_wait_s)

    def route(self, session_id: int) -> None:
        """Receive what is addressed to ``session_id``, and nothing else from now on."""
        self.unroute()
        if self._peer is not None:
            self._endpoint.route(self._peer, session_id, self._on_datagram)
            self._routed_id = session_id

    def unroute(self) -> None:
        """Receive nothing any more."""
        if self._peer is not None and self._routed_id:
            self._endpoint.unroute(self._peer, self._routed_id)
        self._routed_id = 0

    def next_sequence(self) -> int:
        """Return the sequence number of the next IPMI message, 0..63."""
        self._sequence = (self._sequence + 1) % 64
        return self._sequence

    def next_tag(self) -> int:
        """Return the tag of the next session setup message, 0..255."""
        self._tag = (self._tag + 1) % 256
        return self._tag

    def send(self, datagram: bytes) -> None:
        """Send one datagram without waiting for anything.

        Raises:
            BmcUnreachableError: The system knows no way to the BMC.
        """
        if self._peer is not None:
            self._endpoint.send(self._peer, datagram)

    async def exchange(
        self, encode: Callable[[], bytes], match: Callable[[bytes], T | None], *, sends: int = SENDS
    ) -> T | None:
        """Send, resend with growing pauses, and return what ``match`` made of a datagram; None is silence.

        Args:
            encode: Makes the datagram, anew for each transmission.
            match: Returns None for a datagram that is not the answer, or raises `PacketError`; its
                `StatusError` and `BmcError` end the exchange.
            sends: Transmissions before giving up.

        Raises:
            StatusError: From ``match``.
            BmcError: From ``match``, or there is no way to the BMC.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T | None] = loop.create_future()
        self.requests += 1
        self._receiver = functools.partial(self._take, answer, match)
        self._transmit(answer, encode, sends, self._wait_s)
        try:
            return await answer
        finally:
            self._receiver = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, also when the caller was cancelled just then

    def _transmit(
        self,
        answer: asyncio.Future[T | None],
        encode: Callable[[], bytes],
        sends: int,
        wait_s: float,
        number: int = 1,
    ) -> None:
        """Send, and see to it that this happens again, or that the answer is None, after a pause.

        All pauses run in timers: the one who waits is woken once, which is most of what a reading costs.
        """
        if answer.done():
            return
        if number > sends:
            answer.set_result(None)
            return
        loop = asyncio.get_running_loop()
        self._sent_at_s, self.unanswered = loop.time(), number
        try:
            self.send(encode())
        except BmcError as error:
            answer.set_exception(error)
            return
        wait_s = min(wait_s, _MOST_WAIT_S)
        self._timer = loop.call_later(
            wait_s, self._transmit, answer, encode, sends, wait_s * _BACKOFF, number + 1
        )

    def silence(self, what: str) -> BmcUnreachableError:
        """Return the error for a BMC that does not answer to ``what``."""
        return BmcUnreachableError(
            f"no answer from {self._address}:{self._port} to IPMI {what}", reason="timeout"
        )

    def _take(
        self, answer: asyncio.Future[T | None], match: Callable[[bytes], T | None], datagram: bytes
    ) -> None:
        if answer.done():
            return
        try:
            matched = match(datagram)
        except PacketError:
            return
        except (StatusError, BmcError) as error:
            answer.set_exception(error)
        else:
            if matched is None:
                return
            answer.set_result(matched)
        self._learn_latency()

    def _learn_latency(self) -> None:
        self.heard_at_s = asyncio.get_running_loop().time()
        if self.unanswered == 1:  # Karn's rule: an answer after a retransmission may belong to either
            latency_s = self.heard_at_s - self._sent_at_s
            wanted_s = max(self._least_wait_s, 3 * latency_s, 0.9 * self._wait_s)
            self._wait_s = min(_MOST_WAIT_S, wanted_s)
        self.unanswered = 0

    def _on_datagram(self, datagram: bytes) -> None:
        if self._receiver is not None:
            self._receiver(datagram)
