"""`energy-execd` with readers that behave as the server id says: ``good-1``, ``hang-2``, ``refuse-3``."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import click

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcUnreachableError, EnergyError
from energyrecorder_execd.cli import cli
from energyrecorder_execd.readers.base import Poll, Reading, ServerInfo
from energyrecorder_execd.readers.registry import Registry


class FakeReader:
    """Answers at once, late, never, or with nonsense."""

    def __init__(self, target, context, shared):
        self.target = target
        self.context = context
        self.kind = target.server.split("-")[0]
        self.polls = 0
        self.requests = 0
        context.memory.facts.setdefault("fake", {})["session"] = f"s-{target.server}"

    async def poll(self):
        self.polls += 1
        method = getattr(self, f"_{self.kind}", self._good)
        return await method()

    async def close(self):
        print("a library says bye")  # noqa: T201  # what a library may do
        if self.kind == "slowclose":
            await asyncio.sleep(60)
        if self.kind == "badclose":
            raise RuntimeError("bye")

    def _poll(self, watts=200.0, **more):
        now = time.time_ns()
        reading = Reading(
            watts=watts, sampled_at_ns=now, clock="poll", protocol="redfish", source="power_control", **more
        )
        return Poll((reading,), {None: "on"}, "redfish", "power_control", 1, info=ServerInfo(model="M1"))

    async def _good(self):
        return self._poll()

    async def _slow(self):
        await asyncio.sleep(1.0)
        return self._poll()

    async def _hang(self):
        await asyncio.Event().wait()

    async def _late(self):
        await asyncio.sleep(1.3)
        return self._poll()

    async def _refuse(self):
        await asyncio.sleep(0.01)
        raise BmcAuthError("log-in refused", reason="auth")

    async def _dead(self):
        raise BmcUnreachableError("connection refused", reason="unreachable")

    async def _garbage(self):
        raise KeyError("'Watts'\nforged, line")

    async def _badtype(self):
        return self._poll(watts="212")

    async def _data(self):
        raise BmcDataError("/redfish/v1/Chassis: no 'Members'", reason="data")

    async def _flap(self):
        if self.polls % 2:
            raise BmcDataError("/x: null", reason="data")
        return self._poll()

    async def _zero(self):
        now = time.time_ns()
        reading = Reading(None, now, "poll", "redfish", "power_control")
        return Poll((reading,), {None: "on"}, "redfish", "", 2, "no_reading", "0 W while the host is on")

    async def _prints(self):
        print("pyghmi was here\nserver_power watts=1")  # noqa: T201  # stands for a library that prints
        os.write(1, b"server_power watts=2\n")
        return self._poll()

    async def _shows(self):
        """A reader that leaks its password in an error, as `repr` of a target would."""
        raise RuntimeError(f"{self.target!r}")

    async def _nodes(self):
        now = time.time_ns()
        readings = tuple(
            Reading(w, now, "poll", "redfish", "power_control", node=n) for n, w in (("A", 53.0), ("B", 61.0))
        )
        return Poll(readings, {"A": "on", "B": "on"}, "redfish", "power_control", 2)


def make(target, context, shared):
    return FakeReader(target, context, shared)


def main():
    names = dict.fromkeys(("redfish", "ilo", "ipmi"), "__main__:make")
    try:
        cli.main(standalone_mode=False, obj=Registry(readers=names, shared={}))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except EnergyError as error:
        sys.stderr.write(f"E! {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
