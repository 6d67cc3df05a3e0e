"""Polls one BMC some times and keeps what was said: for ``probe`` and ``record``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from energyrecorder.errors import BmcDataError, BmcError
from energyrecorder_execd.emit import Outcome
from energyrecorder_execd.fleet import Server
from energyrecorder_execd.guard import LockoutGuard
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.http.decode import decode
from energyrecorder_execd.http.exchange import Exchange, RawAnswer
from energyrecorder_execd.lockout_file import LockoutFile
from energyrecorder_execd.poller import Poller, Tools
from energyrecorder_execd.readers.base import Context, Memory, Reader, Target
from energyrecorder_execd.readers.ipmi import IpmiEndpoint, IpmiExchange, IpmiReader, Sighting
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.registry import Registry

logger = logging.getLogger(__name__)
Found = TypeVar("Found")

_OK = 200
_SURVEY_SHARE = 4
"""Deadlines of a poll that the look at all sources may take: hundreds of sensor records may be read in it."""


@dataclass(slots=True)
class Conversation:
    """All that was asked and answered.

    Args:
        server: The BMC.
        outcomes: How each poll ended, in order.
        exchanges: Requests over HTTP, in order.
        ipmi: Requests over IPMI, in order.
        sightings: What all sources of an IPMI BMC showed after each poll.
        log_ins: Log-ins over IPMI.
        lines: What the first poll printed.
        facts: What was learned.
    """

    server: Server
    outcomes: list[Outcome] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    ipmi: list[IpmiExchange] = field(default_factory=list)
    sightings: list[list[Sighting]] = field(default_factory=list)
    log_ins: int = 0
    lines: list[str] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        """Protocol that answered; empty if none did."""
        return next((outcome.protocol for outcome in self.outcomes if outcome.poll is not None), "")

    def documents(self) -> dict[str, Any]:
        """Return the JSON of each resource as it was answered last; what is no JSON is left out."""
        found: dict[str, Any] = {}
        for exchange in self.exchanges:
            answer = exchange.outcome
            if exchange.method != "GET" or not isinstance(answer, RawAnswer) or answer.status != _OK:
                continue
            try:
                found[exchange.path] = decode(answer.body, exchange.path)
            except BmcDataError:
                continue
        return found


def converse(server: Server, folder: Path, *, polls: int = 1, every_s: float = 1.0) -> Conversation:
    """Poll a BMC ``polls`` times, log out, and return what was said.

    Args:
        server: The BMC.
        folder: Our part of the state directory: the lock-out guard holds here as well. Nothing else of it is
            used, so that the BMC is seen as for the first time.
        polls: How often; the first failure ends it.
        every_s: Seconds from poll to poll.
    """
    return asyncio.run(_converse(server, folder, polls, every_s))


async def _converse(server: Server, folder: Path, polls: int, every_s: float) -> Conversation:
    talk = Conversation(server)
    clients = HttpClients(talk.exchanges.append)
    endpoint = IpmiEndpoint(talk.ipmi.append)
    registry = Registry()
    registry.require({server.protocol})
    file = LockoutFile(folder)
    memory = Memory()
    made: list[IpmiReader] = []
    redfish: list[RedfishReader] = []

    poller = Poller(server, memory, _tools(registry, clients, endpoint, made, redfish, file))
    try:
        for number in range(polls):
            began_s = time.monotonic()
            outcome = await poller.poll()
            talk.outcomes.append(outcome)
            if number == 0:
                talk.lines = poller.lines(outcome, 0)
            if outcome.poll is None:
                break
            if outcome.protocol == "ipmi":
                # What a slow one does not get done goes on after the next poll.
                sighting = await _surveyed(talk, made[-1].survey())
                talk.sightings += [] if sighting is None else [sighting]
                talk.log_ins = made[-1].log_ins
            if number + 1 < polls:
                await asyncio.sleep(max(0.0, began_s + every_s - time.monotonic()))
        if talk.protocol == "redfish":
            await _surveyed(talk, redfish[-1].survey())
    finally:
        await poller.close()
        await registry.close()
        endpoint.close()
        await clients.close()
    talk.facts = memory.facts
    return talk


async def _surveyed(talk: Conversation, survey: Coroutine[Any, Any, Found]) -> Found | None:
    """Return what a look at all sources of a BMC found; None: it did not come to its end."""
    try:
        async with asyncio.timeout(_SURVEY_SHARE * talk.server.target.timeout_s):
            return await survey
    except (TimeoutError, BmcError) as error:
        logger.info("%s: not all sources were read: %s", talk.server.id, str(error) or "it took too long")
        return None


def _tools(
    registry: Registry,
    clients: HttpClients,
    endpoint: IpmiEndpoint,
    made: list[IpmiReader],
    redfish: list[RedfishReader],
    file: LockoutFile,
) -> Tools:
    def make(protocol: str, target: Target, context: Context) -> Reader:
        if protocol == "redfish":
            redfish.append(RedfishReader(target, context, clients))
            return redfish[-1]
        if protocol == "ilo":
            from energyrecorder_execd.readers.ilo import IloReader

            return IloReader(target, context, clients)
        if protocol == "ipmi":
            made.append(IpmiReader(target, context, endpoint))
            return made[-1]
        return registry.reader(protocol, target, context)

    return Tools(LockoutGuard(file, time.time_ns), make, file.credential)
