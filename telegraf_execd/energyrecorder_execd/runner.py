"""The plugin: all BMC loops of one process, from start to the last line."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterable
from functools import partial

from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import Fleet, Server
from energyrecorder_execd.loop import BmcLoop, Surroundings
from energyrecorder_execd.output import LineWriter
from energyrecorder_execd.readers.registry import Registry
from energyrecorder_execd.selection import Selection, Stamps, stamps
from energyrecorder_execd.server_locks import ServerLocks
from energyrecorder_execd.stdin import StdinWatch

logger = logging.getLogger(__name__)

WATCH_EVERY_S = 2.0
RESTART_S = 60.0
# Shares of the 4.5 s that remain after the end of standard input, and of the 2 s after a signal.
GATHER_S = 3.0
IN_FLIGHT_S = 0.5
CUT_S = 0.2
LOG_OUT_S = 0.6
FORCE_EXIT_S = 0.5


class Runner:
    """One ``run``.

    Args:
        selection: The fleet file and the part of it that is ours.
        registry: Makes the readers.
        around: What the loops share.
        writer: Where the lines go.
        locks: Keep other runs away from our servers.
    """

    def __init__(
        self,
        selection: Selection,
        registry: Registry,
        around: Surroundings,
        writer: LineWriter,
        locks: ServerLocks,
    ) -> None:
        self._selection = selection
        self._registry = registry
        self._around = around
        self._writer = writer
        self._locks = locks
        self._loops: dict[str, BmcLoop] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._at_once = False
        self._gathered = False
        self._complaint = ""

    async def run(self, fleet: Fleet, unread: asyncio.Event) -> None:
        """Poll until standard input ends, a signal comes, or nobody reads our lines.

        Args:
            fleet: As loaded at start.
            unread: Set when nobody reads our lines any more.

        Raises:
            ConfigError: Another run polls one of the servers, or a library is missing.
        """
        seen = stamps(fleet)
        self._apply(fleet)
        watch = asyncio.create_task(self._watch(fleet, seen))
        broken = asyncio.create_task(self._end_when(unread))
        stdin = StdinWatch(self._gather, self._ended.set)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end_at_once)
        stdin.start()
        await self._ended.wait()
        watch.cancel()
        broken.cancel()
        await self._finish()
        stdin.stop()
        _force_exit_later()

    def end_at_once(self) -> None:
        """End without waiting for polls under way."""
        self._at_once = True
        self._ended.set()
        for task in self._tasks.values():
            task.cancel()

    async def _end_when(self, event: asyncio.Event) -> None:
        await event.wait()
        self.end_at_once()

    def _gather(self) -> None:
        self._gathered = True
        for loop in self._loops.values():
            loop.gather()

    def _apply(self, fleet: Fleet) -> None:
        """Poll this fleet from now on; unchanged servers are not disturbed."""
        wanted = {server.id: server for server in fleet.servers}
        self._registry.require({server.protocol for server in fleet.servers})
        self._locks.acquire(wanted)
        if not wanted:
            logger.warning("%s: no enabled server is ours; nothing is polled", self._selection.path)
        for server_id, loop in list(self._loops.items()):
            if wanted.get(server_id) != loop.server:
                retired = asyncio.create_task(self._retire(server_id, wanted.get(server_id)))
                self._retiring.add(retired)
                retired.add_done_callback(self._retiring.discard)
        for server in fleet.servers:
            if server.id not in self._loops:
                self._start(server)

    async def _retire(self, server_id: str, successor: Server | None) -> None:
        """End the loop of a server that left the fleet or changed, then begin the changed one."""
        loop, task = self._loops[server_id], self._tasks[server_id]
        loop.stop()
        task.cancel()
        await asyncio.wait([task])
        await loop.close()
        if self._loops.get(server_id) is loop:
            del self._loops[server_id], self._tasks[server_id]
            if successor is not None and not self._ended.is_set():
                self._start(successor)

    def _start(self, server: Server) -> None:
        loop = self._loops[server.id] = BmcLoop(server, self._around)
        self._run(loop)
        if self._gathered:
            loop.gather()

    def _run(self, loop: BmcLoop) -> None:
        if self._ended.is_set() or self._loops.get(loop.server.id) is not loop:
            return
        task = self._tasks[loop.server.id] = asyncio.create_task(loop.run())
        task.add_done_callback(partial(self._loop_ended, loop))

    def _loop_ended(self, loop: BmcLoop, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        # A fault of ours outside the poll itself: it must be seen, and must not cost the BMC for ever.
        logger.error(
            "server %r: its loop failed and begins anew in %g s", loop.server.id, RESTART_S, exc_info=error
        )
        asyncio.get_running_loop().call_later(RESTART_S, self._run, loop)

    async def _watch(self, fleet: Fleet, seen: Stamps) -> None:
        """Read the fleet file again when it or something it includes changed, and on SIGHUP."""
        hang_up = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up.set)
        while True:
            try:
                async with asyncio.timeout(WATCH_EVERY_S):
                    await hang_up.wait()
            except TimeoutError:
                if stamps(fleet) == seen:
                    continue
            hang_up.clear()
            seen = stamps(fleet)
            try:
                changed = self._selection.load()
                self._apply(changed)
            except ConfigError as error:
                self._complain(str(error))
            else:
                self._complaint = ""
                fleet = changed
                seen = stamps(fleet)
                logger.info("%s: read again: %d servers", self._selection.path, len(fleet.servers))

    def _complain(self, message: str) -> None:
        if message != self._complaint:
            logger.error("the fleet is kept as it was: %s", message)
        self._complaint = message

    async def _finish(self) -> None:
        loops = list(self._loops.values())
        gathering = any(loop.gathering for loop in loops)
        for loop in loops:
            loop.stop()
        if not self._at_once:
            await _wait(self._tasks.values(), GATHER_S if gathering else IN_FLIGHT_S)
            for loop in loops:
                loop.hurry()
            await _wait(self._tasks.values(), CUT_S)
        for task in self._tasks.values():
            task.cancel()
        await _wait(self._tasks.values(), CUT_S)
        closing = [asyncio.create_task(loop.close()) for loop in loops]
        await _wait([*closing, *self._retiring], LOG_OUT_S)
        shared = asyncio.create_task(self._registry.close())
        await _wait([shared], CUT_S)
        await self._writer.finish(CUT_S)


async def _wait(tasks: Iterable[asyncio.Task[None]], longest_s: float) -> None:
    pending = [task for task in tasks if not task.done()]
    if pending:
        await asyncio.wait(pending, timeout=longest_s)


def _force_exit_later() -> None:
    """End the process even if a library's thread does not, such as one that waits for a name server."""
    timer = threading.Timer(FORCE_EXIT_S, os._exit, args=(0,))
    timer.daemon = True
    timer.start()
