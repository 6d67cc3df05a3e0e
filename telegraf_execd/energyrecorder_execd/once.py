"""One poll of everything: lines on standard output, the exit code says how many BMCs answered."""

from __future__ import annotations

import asyncio
import logging

from energyrecorder_execd.fleet import Fleet
from energyrecorder_execd.loop import Voice, Write
from energyrecorder_execd.poller import Poller, Tools
from energyrecorder_execd.readers.base import Memory
from energyrecorder_execd.state import FactsStore, pins_only

logger = logging.getLogger(__name__)

ALL_UP, SOME_DOWN, ALL_DOWN = 0, 3, 4
LOG_OUT_S = 5.0


async def poll_once(fleet: Fleet, tools: Tools, facts: FactsStore, write: Write) -> int:
    """Poll every server of the fleet once, all at the same time, and return the exit code.

    Of what ``run`` remembers only trusted certificates are used, and only the lock-out guard's state is
    changed: a record that is shown here is still new to ``run``, and no session of a ``run`` is touched.
    """
    pollers = [
        Poller(server, Memory(pins_only(facts.load(server.id, server.bmc))), tools)
        for server in fleet.servers
    ]
    try:
        up = await asyncio.gather(*(_poll(poller, write) for poller in pollers))
    finally:
        # Also after Ctrl-C: a session left behind is one that the BMC has not for others.
        await _close(pollers)
    if all(up):
        return ALL_UP
    return SOME_DOWN if any(up) else ALL_DOWN


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
