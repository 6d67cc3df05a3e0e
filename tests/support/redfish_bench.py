"""A Redfish BMC of a few documents, some of which may fail or hang, and its reader."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.rediscovery import RENEWAL_S
from support.fake_http import FakeHttp
from support.readers import Clock

ROOT = "/redfish/v1"
CHASSIS, SYSTEM = f"{ROOT}/Chassis/1", f"{ROOT}/Systems/1"
POWER, ENVIRONMENT, SENSORS = f"{CHASSIS}/Power", f"{CHASSIS}/EnvironmentMetrics", f"{CHASSIS}/Sensors"
SENSOR = f"{SENSORS}/total_power"
TARGET = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))


def ref(path):
    return {"@odata.id": path}


def control(watts):
    return {"PowerControl": [{"PowerConsumedWatts": watts}]}


def tree(power=None, *, environment=None, sensor=None, state="On"):
    """Return a BMC with one computer and those resources with power that are given."""
    chassis = {"Id": "1", "ChassisType": "RackMount", "Links": {"ComputerSystems": [ref(SYSTEM)]}}
    more = {}
    if power is not None:
        chassis["Power"], more[POWER] = ref(POWER), power
    if environment is not None:
        chassis["EnvironmentMetrics"], more[ENVIRONMENT] = ref(ENVIRONMENT), environment
    if sensor is not None:
        chassis["Sensors"] = ref(SENSORS)
        more |= {SENSORS: {"Members": [ref(SENSOR)]}, SENSOR: {"ReadingUnits": "W", "Reading": sensor}}
    return {
        ROOT: {"Chassis": ref(f"{ROOT}/Chassis"), "Systems": ref(f"{ROOT}/Systems")},
        f"{ROOT}/Chassis": {"Members": [ref(CHASSIS)]},
        f"{ROOT}/Systems": {"Members": [ref(SYSTEM)]},
        CHASSIS: chassis,
        SYSTEM: {"Id": "1", "PowerState": state} if state else {"Id": "1"},
        **more,
    }


def two_nodes():
    """Return a BMC with two computers, each with two views of its power."""
    documents = tree() | {f"{ROOT}/Chassis": {"Members": []}, f"{ROOT}/Systems": {"Members": []}}
    for name, watts in (("A", 300), ("B", 500)):
        chassis, system = f"{ROOT}/Chassis/{name}", f"{ROOT}/Systems/{name}"
        documents[f"{ROOT}/Chassis"]["Members"].append(ref(chassis))
        documents[f"{ROOT}/Systems"]["Members"].append(ref(system))
        documents |= {
            chassis: {
                "Id": name,
                "Power": ref(f"{chassis}/Power"),
                "EnvironmentMetrics": ref(f"{chassis}/EnvironmentMetrics"),
                "Links": {"ComputerSystems": [ref(system)]},
            },
            f"{chassis}/Power": control(watts),
            f"{chassis}/EnvironmentMetrics": {"PowerWatts": {"Reading": watts - 7}},
            system: {"Id": name, "PowerState": "On"},
        }
    return documents


class Bench:
    """A BMC of documents, some of which may fail, and its reader."""

    def __init__(self, documents, facts=None):
        self.failing = {}
        self.hanging = set()
        self.hung = asyncio.Event()
        self.facts = {} if facts is None else facts
        self.clock = Clock()
        self.http = FakeHttp(documents)
        self.documents = self.http.documents
        self.reader = RedfishReader(TARGET, Context(Memory(self.facts), self.clock), HttpClients())
        self.reader._http = self
        self.offer_sessions = self.http.offer_sessions

    @property
    def requests(self):
        return self.http.requests

    async def get(self, path, *, anonymous=False):
        answer = await self.http.get(path, anonymous=anonymous)
        if path in self.hanging:
            self.hung.set()
            await asyncio.Event().wait()
        if path in self.failing:
            raise self.failing[path]
        now_ns = self.clock()
        return replace(answer, sent_ns=now_ns, received_ns=now_ns)

    async def poll(self):
        """Return the poll and what it asked for."""
        self.http.asked.clear()
        return await self.reader.poll(), list(self.http.asked)

    async def renew(self, polls, before=lambda: None):
        """Let the plan grow old, then poll once a minute; ``before`` is called before each poll.

        Returns:
            What the last poll asked for.
        """
        self.clock.ahead_s += RENEWAL_S
        for _ in range(polls):
            self.clock.ahead_s += 60
            before()
            _, asked = await self.poll()
        return asked


def values(poll):
    return [(reading.source, reading.watts) for reading in poll.readings]
