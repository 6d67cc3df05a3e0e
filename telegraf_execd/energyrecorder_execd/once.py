"""One poll of everything: lines on standard output, the exit code says how many BMCs answered."""

from __future__ import annotations

import asyncio
import logging

from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import Fleet, Server
from energyrecorder_execd.loop import Voice, Write
from energyrecorder_execd.poller import Poller, Tools
from energyrecorder_execd.readers.base import Memory
from energyrecorder_execd.server_locks import ServerLocks
from energyrecorder_execd.state import FactsStore, pin_only

logger = logging.getLogger(__name__)

ALL_UP, SOME_DOWN, ALL_DOWN = 0, 3, 4
LOG_OUT_S = 5.0


async def poll_once(fleet: Fleet, tools: Tools, facts: FactsStore, locks: ServerLocks, write: Write) -> int:
    """Poll every server of the fleet once, all at the same time, and return the exit code.

    Of what ``run`` remembers only trusted certificates are used, and only new ones and the lock-out guard's
    state are written: a record that is shown here is still new to ``run``, and no session of it is touched.
    """
    memories = [Memory(pin_only(facts.load(server.id, server.bmc))) for server in fleet.servers]
    pollers = [Poller(server, memory, tools) for server, memory in zip(fleet.servers, memories, strict=True)]
    try:
        up = await asyncio.gather(*(_poll(poller, write) for poller in pollers))
    finally:
        # Also after Ctrl-C: a session left behind is one that the BMC has not for others.
        await _close(pollers)
        for server, memory in zip(fleet.servers, memories, strict=True):
            _keep_pin(server, memory, facts, locks)
    if all(up):
        return ALL_UP
    return SOME_DOWN if any(up) else ALL_DOWN


def _keep_pin(server: Server, memory: Memory, facts: FactsStore, locks: ServerLocks) -> None:
    """Remember a certificate that was trusted on first use; a ``run`` of this server remembers it itself."""
    pin = pin_only(memory.facts)
    if not pin:
        return
    known = facts.load(server.id, server.bmc)
    after = {**pin, **known}
    if after == known:
        return
    try:
        locks.acquire([server.id])
    except ConfigError:
        return
    facts.save(server.id, server.bmc, after)


async def _poll(poller: Poller, write: Write) -> bool:
    outcome = await poller.poll()
    write(poller.lines(outcome, 0))
    Voice(poller.server).heard(outcome)
    return not outcome.error


async def _close(pollers: list[Poller]) -> None:
    closing = [asyncio.ensure_future(poller.close()) for poller in pollers]
    _, late = await asyncio.wait(closing, timeout=LOG_OUT_S)
    for task in late:
        task.cancel()
    if late:
        logger.warning("%d BMCs did not answer to the log-out", len(late))
