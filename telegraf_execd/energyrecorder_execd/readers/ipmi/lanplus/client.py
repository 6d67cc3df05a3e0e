"""The transport over RMCP+ of our own: requests inside a session, re-login on silence, keep-alive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

from energyrecorder.errors import BmcAuthError, BmcError, BmcUnreachableError
from energyrecorder_execd.readers.ipmi.lanplus import packet
from energyrecorder_execd.readers.ipmi.lanplus.channel import Channel
from energyrecorder_execd.readers.ipmi.lanplus.endpoint import Endpoint
from energyrecorder_execd.readers.ipmi.lanplus.handshake import log_in
from energyrecorder_execd.readers.ipmi.lanplus.packet import Response
from energyrecorder_execd.readers.ipmi.lanplus.session import SecureSession
from energyrecorder_execd.readers.ipmi.transport import (
    NETFN_APP,
    PRIVILEGES,
    Bridge,
    CompletionCodeError,
    Login,
)

# IPMI 2.0 §6.12.15: a BMC ends a session after 60 s ± 3 s without a message.
_KEEPALIVE_S = 25.0
_LEAST_KEEPALIVE_S = 1.0
_CLOSE_WAIT_S = 0.5
_GET_DEVICE_ID = 0x01
_SET_SESSION_PRIVILEGE = 0x3B
_CLOSE_SESSION = 0x3C
_LEVEL_REFUSED = frozenset({0x80, 0x81})


class LanplusTransport:
    """One BMC over RMCP+; keeps the contract of `energyrecorder_execd.readers.ipmi.transport`.

    Args:
        login: Whom to log in to, and as whom.
        endpoint: The sockets shared by all BMCs.
        facts: What is remembered of this BMC; ``suite`` is kept here.
    """

    def __init__(self, login: Login, endpoint: Endpoint, facts: MutableMapping[str, Any]) -> None:
        self._log_ins = 0
        self._login = login
        self._facts = facts
        self._channel = Channel(endpoint, address=login.address, port=login.port, timeout_s=login.timeout_s)
        self._lock = asyncio.Lock()
        self._session: SecureSession | None = None
        self._keepalive: asyncio.TimerHandle | None = None

    @property
    def requests(self) -> int:
        """Requests sent since the start, log-ins included, retransmissions not."""
        return self._channel.requests

    @property
    def log_ins(self) -> int:
        """Successful log-ins since the start."""
        return self._log_ins

    async def open(self) -> None:
        """Log in unless logged in; see the contract."""
        async with self._lock:
            if self._session is None:
                await self._log_in()

    async def request(
        self, netfn: int, command: int, data: bytes = b"", *, lun: int = 0, bridge: Bridge | None = None
    ) -> bytes:
        """Send one request and return the response's data; see the contract."""
        async with self._lock:
            response = None
            if self._session is not None:
                response = await self._ask(self._session, netfn, command, data, lun=lun, bridge=bridge)
            if response is None:
                self._abandon()
                session = await self._log_in()
                response = await self._ask(session, netfn, command, data, lun=lun, bridge=bridge)
            if response is None:
                self._abandon()
                raise self._channel.silence(f"request {netfn:02X}h/{command:02X}h")
            return _checked(response, netfn, command)

    async def close(self) -> None:
        """End the session on the BMC, best effort; never raises."""
        session, self._session = self._session, None
        self._stop_keepalive()
        try:
            if session is not None:
                with contextlib.suppress(BmcError, TimeoutError):
                    async with asyncio.timeout(_CLOSE_WAIT_S):
                        await self._ask(session, NETFN_APP, _CLOSE_SESSION, _session_bytes(session))
        finally:
            self._channel.unroute()

    async def _log_in(self) -> SecureSession:
        ready = False
        try:
            session = await log_in(self._channel, self._login, self._facts)
            self._session = session
            await self._raise_privilege(session)
            ready = True
        finally:
            if not ready:  # refused, silent or cancelled
                self._abandon()
        self._log_ins += 1
        self._keepalive = asyncio.get_running_loop().call_later(_KEEPALIVE_S, self._keep_alive)
        return session

    async def _raise_privilege(self, session: SecureSession) -> None:
        """Ask for the level wanted; a session starts at USER (IPMI 2.0 §22.18), which costs no request."""
        level = self._login.privilege
        if level <= PRIVILEGES["user"]:
            return
        response = await self._ask(session, NETFN_APP, _SET_SESSION_PRIVILEGE, bytes((level,)))
        if response is None:
            raise self._channel.silence("request to set the privilege level")
        if response.code in _LEVEL_REFUSED:
            raise BmcAuthError(
                f"the BMC refuses privilege level {level} to this account (code {response.code:02X}h)",
                reason="privilege",
            )
        _checked(response, NETFN_APP, _SET_SESSION_PRIVILEGE)

    async def _ask(
        self,
        session: SecureSession,
        netfn: int,
        command: int,
        data: bytes,
        *,
        lun: int = 0,
        bridge: Bridge | None = None,
    ) -> Response | None:
        """Return the response to one request inside the session; None is silence."""
        sequence = self._channel.next_sequence()
        message = _encode(netfn, command, data, sequence=sequence, lun=lun, bridge=bridge)

        def match(datagram: bytes) -> Response | None:
            response = packet.decode_response(session.unseal(datagram))
            if response.sequence != sequence:
                return None
            while bridge is not None and response.command == packet.SEND_MESSAGE:
                if response.code or not response.data:  # refused; or accepted, and the answer follows
                    return response if response.code else None
                # Some BMCs and satellites put the whole answer in here (ipmitool's lan.c knows both forms).
                response = packet.decode_response(response.data)
            wanted = response.netfn == netfn | 1 and response.command == command
            return response if wanted else None

        try:
            return await self._channel.exchange(lambda: session.seal(message), match)
        except asyncio.CancelledError:
            # With a short deadline the caller's patience ends before ours: the next request logs in anew.
            if self._channel.unanswered > 1:
                self._abandon()
            raise

    def _abandon(self) -> None:
        """Drop the session; the BMC is told once, so that a live one frees the slot."""
        session, self._session = self._session, None
        self._stop_keepalive()
        if session is not None:
            close = _encode(
                NETFN_APP, _CLOSE_SESSION, _session_bytes(session), sequence=self._channel.next_sequence()
            )
            with contextlib.suppress(BmcUnreachableError):
                self._channel.send(session.seal(close))
        self._channel.unroute()

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    def _keep_alive(self) -> None:
        """Send one request, its answer unheeded, when nothing was heard for long; polls usually do that."""
        loop = asyncio.get_running_loop()
        idle_s = loop.time() - self._channel.heard_at_s
        if self._session is not None and idle_s >= _KEEPALIVE_S and not self._channel.busy:
            message = _encode(NETFN_APP, _GET_DEVICE_ID, b"", sequence=self._channel.next_sequence())
            with contextlib.suppress(BmcUnreachableError):
                self._channel.send(self._session.seal(message))
            idle_s = 0.0
        self._keepalive = loop.call_later(max(_LEAST_KEEPALIVE_S, _KEEPALIVE_S - idle_s), self._keep_alive)


def _encode(
    netfn: int, command: int, data: bytes, *, sequence: int, lun: int = 0, bridge: Bridge | None = None
) -> bytes:
    if bridge is None:
        return packet.encode_request(netfn=netfn, command=command, data=data, sequence=sequence, lun=lun)
    message = packet.encode_request(
        netfn=netfn,
        command=command,
        data=data,
        sequence=sequence,
        lun=lun,
        responder=bridge.address,
        requester=packet.BMC_ADDRESS,
    )
    while bridge.via is not None:
        message = packet.encode_bridged(
            message,
            channel=bridge.channel,
            sequence=sequence,
            responder=bridge.via.address,
            requester=packet.BMC_ADDRESS,
        )
        bridge = bridge.via
    return packet.encode_bridged(message, channel=bridge.channel, sequence=sequence)


def _session_bytes(session: SecureSession) -> bytes:
    return session.remote_id.to_bytes(4, "little")


def _checked(response: Response, netfn: int, command: int) -> bytes:
    if response.code:
        raise CompletionCodeError(netfn, command, response.code)
    return response.data
