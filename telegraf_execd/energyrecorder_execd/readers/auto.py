"""``protocol = "auto"``: Redfish, then iLO REST, then IPMI; what answered is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.base import Context, Poll, Reader, Target, WebPageError
from energyrecorder_execd.readers.fast_meter import SOURCE as METER

ORDER = ("redfish", "ilo", "ipmi")
CONNECT_S = 2.0
"""Longest wait for a TCP connection before IPMI is tried; a BMC's web server accepts within milliseconds."""

FORGET_S = 600.0
"""So long the remembered protocol may be unsupported: a BMC that boots answers 404 for a while, and by IPMI
before its web server is up."""

_HTTPS, _HTTP = 443, 80


Make = Callable[[str, Target, Context], Reader]


def remembered_protocol(facts: Mapping[str, Any]) -> str:
    """Return the protocol that answered before; empty if none did."""
    own = facts.get("auto")
    found = own.get("protocol") if isinstance(own, dict) else None
    return found if found in ORDER else ""


class AutoReader:
    """Finds the protocol of one BMC, then reads by it.

    Only "not supported", "nobody listens" and a web page in place of a service lead to the next protocol: an
    old board's server answers so to everything. Never does a refused log-in, a certificate that is not
    trusted, a full or a busy BMC, nor a time-out after the connection stood. One that shows nothing by
    Redfish but an iLO's power meter is left to the reader of iLOs.

    Args:
        target: The BMC.
        context: What is remembered of it; the protocol under ``auto``.
        make: Makes a reader of one protocol.
    """

    def __init__(self, target: Target, context: Context, make: Make) -> None:
        self._target = target
        self._context = context
        self._make = make
        self._reader: Reader | None = None
        self._protocol = ""
        self._earlier_requests = 0
        self._doubted_ns: int | None = None

    @property
    def requests(self) -> int:
        """Requests sent so far, by whichever protocol."""
        return self._earlier_requests + (0 if self._reader is None else self._reader.requests)

    async def poll(self) -> Poll:
        """Ask once, by the remembered protocol or by the first that the BMC supports.

        Raises:
            BmcError: The poll failed as a whole.
        """
        remembered = remembered_protocol(self._context.memory.facts)
        if not remembered:
            return await self._find()
        try:
            poll = await self._poll_by(remembered)
        except BmcError as error:
            if error.reason == "unsupported":
                self._doubt()
            else:
                self._doubted_ns = None
            raise
        self._doubted_ns = None
        return poll

    def _doubt(self) -> None:
        """Note that the remembered protocol is not supported; when that lasts, it is another board."""
        now_ns = self._context.clock()
        if self._doubted_ns is None or now_ns < self._doubted_ns:
            self._doubted_ns = now_ns
        if now_ns - self._doubted_ns >= FORGET_S * 1e9:
            self._doubted_ns = None
            self._memory().pop("protocol", None)

    async def _find(self) -> Poll:
        tried: list[str] = []
        order: tuple[str, ...] = ORDER
        memory = self._memory()
        # A port of the fleet file is the web server's; if none answers there, it is IPMI's.
        memory["ipmi_port"] = None
        if not await self._web_answers():
            tried.append("redfish and ilo: no TCP connection")
            order = ("ipmi",)
            memory["ipmi_port"] = self._target.port
        reason = "unsupported"
        for protocol in order:
            try:
                poll = await self._poll_by(protocol)
            except BmcError as error:
                leads_on = error.reason in {"unsupported", "unreachable"} or isinstance(error, WebPageError)
                if not leads_on and protocol != order[-1]:
                    raise
                if error.reason == "auth":
                    raise
                tried.append(f"{protocol}: {error}")
                reason = error.reason
                continue
            if protocol == "redfish" and poll.source == METER:
                # The reader of iLOs misses no record of it.
                tried.append("redfish: nothing but an iLO's power meter")
                continue
            memory["protocol"] = protocol
            return poll
        raise BmcError("no protocol works: " + "; ".join(tried), reason=reason)

    async def _web_answers(self) -> bool:
        port = self._target.port or (_HTTP if self._target.scheme == "http" else _HTTPS)
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(self._target.address, port)
        except OSError:  # TimeoutError is one
            return False
        writer.close()
        return True

    async def _poll_by(self, protocol: str) -> Poll:
        if self._reader is None or self._protocol != protocol:
            await self.close()
            target = self._target
            if protocol == "ipmi":
                target = replace(target, port=self._memory().get("ipmi_port"))
            self._reader = self._make(protocol, target, self._context)
            self._protocol = protocol
        return await self._reader.poll()

    def _memory(self) -> MutableMapping[str, Any]:
        facts = self._context.memory.facts
        if not isinstance(facts.get("auto"), dict):
            facts["auto"] = {}
        memory: MutableMapping[str, Any] = facts["auto"]
        return memory

    async def close(self) -> None:
        """Log out and release what the reader holds; never raises."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await reader.close()
            self._earlier_requests += reader.requests
