"""The loop of one BMC: wait for its tick, poll, write the lines, remember, say what changed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from energyrecorder_execd import schedule
from energyrecorder_execd.backoff import Backoff
from energyrecorder_execd.emit import Outcome
from energyrecorder_execd.fleet import Server
from energyrecorder_execd.poller import Poller, Tools
from energyrecorder_execd.readers.base import Memory
from energyrecorder_execd.state import FactsStore, basic_only

logger = logging.getLogger(__name__)

BASIC_ONLY_INTERVAL_S = 60.0

CALM_POLLS = 30
"""So many polls from the usual source end what was told of another one that stood in: firmware that shows
null at every other poll is told once, not all day."""

_STOOD_IN = "stood in"

Write = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all loops of a process share.

    Args:
        tools: For the pollers.
        facts: What is remembered on disk.
        write: Takes the lines of one poll.
    """

    tools: Tools
    facts: FactsStore
    write: Write


class Voice:
    """Logs once per change of state why a BMC gives no reading or none of its usual source, and when it does.

    Args:
        server: The BMC.
    """

    def __init__(self, server: Server) -> None:
        self._name = f"server {server.id!r} ({server.target.place})"
        self._state = ""
        self._polls = 0
        self._calm = 0

    def heard(self, outcome: Outcome) -> None:
        """Note one outcome."""
        state = outcome.error or (_STOOD_IN if outcome.message else "")
        self._polls += bool(outcome.error)
        self._calm = 0 if state else self._calm + 1
        if state == self._state or (self._state == _STOOD_IN and not state and self._calm < CALM_POLLS):
            return
        if outcome.error:
            logger.warning("%s: %s: %s", self._name, outcome.error, outcome.message or "no reason given")
        elif outcome.message:
            logger.warning("%s: %s", self._name, outcome.message)
        elif self._polls:
            times = "1 failed poll" if self._polls == 1 else f"{self._polls} failed polls"
            logger.info("%s: read again after %s", self._name, times)
        else:
            logger.info("%s: read from its usual source again", self._name)
        if not state:
            self._polls = 0
        self._state = state


class BmcLoop:
    """Polls one BMC on its own schedule until told to stop.

    Args:
        server: The BMC.
        around: What all loops share.
    """

    def __init__(self, server: Server, around: Surroundings) -> None:
        self.server = server
        self._around = around
        self._memory = Memory(around.facts.load(server.id, server.bmc), self._keep)
        self._poller = Poller(server, self._memory, around.tools)
        self._backoff = Backoff(random.Random())  # noqa: S311  # spreads load, guards nothing
        self._voice = Voice(server)
        self._wake: asyncio.Future[None] | None = None
        self._stopping = False
        self._gather = False
        self._in_gather = False
        self._polled = False
        self._late = 0
        self._last = Outcome(0, 0.0, None, "")

    def gather(self) -> None:
        """Poll at once if the BMC was not polled since start."""
        if not self._polled:
            self._gather = True
            self._interrupt()

    def stop(self) -> None:
        """Begin nothing any more but a first gather that is due."""
        self._stopping = True
        self._interrupt()

    @property
    def gathering(self) -> bool:
        """Whether a first gather is due or under way."""
        return self._gather or self._in_gather

    def hurry(self) -> None:
        """End the poll under way as if its deadline had come."""
        self._poller.hurry()

    async def close(self) -> None:
        """Log out and keep what was learned."""
        await self._poller.close()
        self._around.facts.save(self.server.id, self.server.bmc, self._memory.facts, at_end=True)

    async def run(self) -> None:
        """Poll until `stop`."""
        tools = self._around.tools
        after_ns, every_s, offset = tools.clock(), 0.0, 0
        while True:
            if every_s != (every_s := self._interval_s()):
                offset = schedule.offset_ns(self.server.id, every_s)
            tick_ns = schedule.next_tick_ns(after_ns, every_s, offset)
            due_s = tools.monotonic() + (tick_ns - tools.clock()) / 1e9
            await self._wait_until(tick_ns, every_s)
            self._in_gather, self._gather = self._gather, False
            if self._stopping and not self._in_gather:
                return
            await self._serve(tools.monotonic())
            if self._in_gather:
                # Outside the schedule: no tick was served, and none was missed.
                after_ns = tools.clock()
                continue
            after_ns = _served_until(tick_ns, tools.clock(), every_s)
            next_ns = schedule.next_tick_ns(after_ns, every_s, offset)
            self._late = schedule.missed_ticks(tick_ns, next_ns, tools.monotonic() - due_s, every_s)

    def _interval_s(self) -> float:
        configured = self.server.interval_s
        found = schedule.interval_s(configured, self._poller.findings.refresh_s)
        if configured is None and basic_only(self._memory.facts):
            # Each poll of such a BMC is a log-in of its own.
            return max(BASIC_ONLY_INTERVAL_S, found)
        return found

    async def _wait_until(self, tick_ns: int, every_s: float) -> None:
        clock = self._around.tools.clock
        while not self._stopping and not self._gather:
            left_s = (tick_ns - clock()) / 1e9
            # A wall clock that was set back must not make us sleep for hours.
            if left_s <= 0 or left_s > 2 * every_s:
                return
            await self._sleep(left_s)

    async def _sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        handle = loop.call_later(seconds, _set, self._wake)
        try:
            await self._wake
        finally:
            handle.cancel()
            self._wake = None

    def _interrupt(self) -> None:
        if self._wake is not None:
            _set(self._wake)

    async def _serve(self, now_s: float) -> None:
        self._polled = True
        if self._backoff.ready(now_s):
            outcome = await self._poller.poll()
            self._voice.heard(outcome)
            self._note(outcome)
        else:
            # Left alone for a while; the line says that there is no reading, and why.
            now_ns = self._around.tools.clock()
            outcome = replace(self._last, at_ns=now_ns, scrape_s=0.0, poll=None, lines=(), requests=0)
        self._last = outcome
        late, self._late = self._late, 0
        self._around.write(self._poller.lines(outcome, late))

    def _note(self, outcome: Outcome) -> None:
        if outcome.error:
            self._backoff.failed(outcome.error, self._around.tools.monotonic(), self._poller.retry_after_s)
        else:
            self._backoff.succeeded()
        self._keep()

    def _keep(self) -> None:
        self._around.facts.save(self.server.id, self.server.bmc, self._memory.facts)


def _served_until(tick_ns: int, now_ns: int, every_s: float) -> int:
    """Return the moment after which the next tick is looked for.

    A timer may ring a little early: then the tick itself. A tick further ahead was planned before the wall
    clock was set back, and is forgotten.
    """
    return tick_ns if 0 < tick_ns - now_ns < every_s * schedule.NANOSECONDS else now_ns


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
