"""An iLO of documents that a test changes, its reader, and a wall clock that the test moves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients, HttpStatusError
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.ilo import IloReader
from support.fake_http import FakeHttp

NOW_S = 1_700_000_000
METER = "/redfish/v1/Chassis/1/Power/FastPowerMeter"
TARGET = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))


def bmc(generation):
    """Return the simulator's entry of an iLO."""
    return (
        f'[[bmc]]\nid = "b"\nprotocol = "{generation}"\nscheme = "http"\n'
        'power = { formula = "300 + 100*sin(t/7)" }\n'
    )


def stamp(seconds):
    """Return a time as an iLO writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tree(seconds, watts=lambda s: 100 + s % 50, state="On"):
    """Return an iLO 5 whose meter has records at these times."""

    def ref(path):
        return {"@odata.id": path}

    parts = {"CpuWatts": 40, "DimmWatts": 12, "GpuWatts": 0, "AmbTemp": 21}
    details = [{"Time": stamp(s), "Average": watts(s), "Minimum": 1, "Peak": 999, **parts} for s in seconds]
    return {
        "/redfish/v1": {key: ref(f"/redfish/v1/{key}") for key in ("Chassis", "Systems")},
        "/redfish/v1/Chassis": {"Members": [ref("/redfish/v1/Chassis/1")]},
        "/redfish/v1/Chassis/1": {"Power": ref("/redfish/v1/Chassis/1/Power")},
        "/redfish/v1/Chassis/1/Power": {"Oem": {"Hpe": {"Links": {"FastPowerMeter": ref(METER)}}}},
        METER: {"PowerDetail": details},
        "/redfish/v1/Systems": {"Members": [ref("/redfish/v1/Systems/1")]},
        "/redfish/v1/Systems/1": {"PowerState": state},
    }


class Bench:
    """A reader of documents that the test changes, and a wall clock that it moves."""

    def __init__(self, now_s=NOW_S, ahead_s=0, facts=None, options=None):
        self.now_s, self.ahead_s = now_s, ahead_s
        self.facts = {} if facts is None else facts
        self.http = FakeHttp({})
        self.failing, self.hanging = set(), set()
        self.reader = IloReader(
            replace(TARGET, options=options or {}),
            Context(Memory(self.facts), lambda: int(self.now_s * 1e9)),
            HttpClients(),
        )
        self.reader._http = self.http

    def ring(self, count=120, **more):
        """Give the meter its last records by its own clock, which is ``ahead_s`` ahead."""
        newest = int(self.now_s) // 10 * 10
        documents = tree([newest - 10 * i + self.ahead_s for i in range(count)], **more)
        self.http.documents = {path.rstrip("/"): body for path, body in documents.items()}

    async def poll(self, *, seconds=0.0):
        self.now_s += seconds
        now_ns = int(self.now_s * 1e9)
        bench_get = FakeHttp.get

        async def get(path, *, anonymous=False):
            answer = await bench_get(self.http, path, anonymous=anonymous)
            if path in self.hanging:
                await asyncio.Event().wait()
            if path in self.failing:
                raise HttpStatusError(f"GET {path}: HTTP 500", status=500)
            date_s = None if self.ahead_s is None else float(int(self.now_s + self.ahead_s))
            return type(answer)(answer.path, answer.document, now_ns, now_ns, date_s)

        self.http.get = get
        return await self.reader.poll()
