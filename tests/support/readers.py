"""Readers of simulated BMCs in this process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Reader, Target
from support.bmcsim import PASSWORD, USER, Sim


def target(sim: Sim, bmc_id: str, **changes: Any) -> Target:
    """Return the fleet file's view of a simulated BMC."""
    parts = urlsplit(sim.url(bmc_id))
    values = {
        "server": bmc_id,
        "address": parts.hostname,
        "port": parts.port,
        "scheme": parts.scheme,
        "user": USER,
        "password": Secret(PASSWORD),
        "tls": f"ca:{sim.fleet.ca_file}",
    }
    return Target(**{**values, **changes})


@contextlib.asynccontextmanager
async def reading(
    factory: Callable[[Target, Context, HttpClients], Reader],
    aim: Target,
    *,
    facts: dict[str, Any] | None = None,
    clock: Callable[[], int] = time.time_ns,
    log_out: bool = True,
) -> AsyncIterator[Reader]:
    """Make a reader with its own connections; without ``log_out`` it ends as if the process was killed."""
    clients = HttpClients()
    reader = factory(aim, Context(Memory({} if facts is None else facts), clock), clients)
    try:
        yield reader
    finally:
        if log_out:
            await reader.close()
        await clients.close()


class Clock:
    """A wall clock that tests move by hand, on top of the real one."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> int:
        return time.time_ns() + int(self.ahead_s * 1e9)
