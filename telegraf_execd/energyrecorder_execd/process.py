"""Puts one process together: guard, readers, standard output, and what ``run`` or ``once`` does."""

from __future__ import annotations

import asyncio
import resource
import signal
from pathlib import Path

from energyrecorder.clock import wall_ns
from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import Fleet
from energyrecorder_execd.guard import LockoutGuard
from energyrecorder_execd.lockout_file import LockoutFile
from energyrecorder_execd.loop import Surroundings
from energyrecorder_execd.once import poll_once
from energyrecorder_execd.output import LineWriter, take_stdout
from energyrecorder_execd.poller import Tools
from energyrecorder_execd.readers.registry import Registry
from energyrecorder_execd.runner import Runner
from energyrecorder_execd.selection import Selection
from energyrecorder_execd.server_locks import ServerLocks
from energyrecorder_execd.state import FactsStore

LAST_LINES_S = 10.0
OTHER_FILES = 64
"""Descriptors beside one per BMC: standard streams, state, and files that are open for a moment."""
TERMINATED = 128 + signal.SIGTERM


def run(selection: Selection, fleet: Fleet, folder: Path, registry: Registry) -> None:
    """Poll the fleet on its schedule until told to end.

    Args:
        selection: Where the fleet comes from, for changes.
        fleet: As loaded at start.
        folder: Our part of the state directory.
        registry: Makes the readers.

    Raises:
        OSError: The lines cannot be written, though somebody wants them: a full disk.
    """

    async def _run() -> None:
        unread = asyncio.Event()
        locks = ServerLocks(folder)
        writer = LineWriter(take_stdout(), unread.set)
        around = Surroundings(_tools(folder, registry), FactsStore(folder / "servers"), writer.write)
        await Runner(selection, registry, around, writer, locks).run(fleet, unread)
        _raise_unless_left(writer)

    allow_many_sockets(len(fleet.servers))
    asyncio.run(_run())


def allow_many_sockets(servers: int) -> None:
    """Raise the soft limit of open files to the hard one: a BMC is a socket, and 1,024 the usual limit.

    Args:
        servers: How many are polled.

    Raises:
        ConfigError: The hard limit is too low for them.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = servers + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{servers} servers need {needed} open files, the hard limit is {hard} (ulimit -Hn, LimitNOFILE"
            " of a unit): raise it, or share the fleet out with --shard"
        )


def once(fleet: Fleet, folder: Path, registry: Registry) -> int:
    """Poll every server once and return the exit code; arguments and errors as for `run`."""
    allow_many_sockets(len(fleet.servers))

    async def _once() -> int:
        task = asyncio.current_task()
        if task is not None:
            # So that `timeout 10 energy-execd once` logs out as well.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        registry.require({server.protocol for server in fleet.servers})
        writer = LineWriter(take_stdout(), lambda: None)
        facts = FactsStore(folder / "servers")
        code = await poll_once(fleet, _tools(folder, registry), facts, ServerLocks(folder), writer.write)
        await registry.close()
        await writer.finish(LAST_LINES_S)
        _raise_unless_left(writer)
        return code

    try:
        return asyncio.run(_once())
    except asyncio.CancelledError:
        return TERMINATED


def _raise_unless_left(writer: LineWriter) -> None:
    if writer.failure is not None and not isinstance(writer.failure, BrokenPipeError):
        raise writer.failure


def _tools(folder: Path, registry: Registry) -> Tools:
    file = LockoutFile(folder)
    return Tools(LockoutGuard(file, wall_ns), registry.reader, file.credential)
