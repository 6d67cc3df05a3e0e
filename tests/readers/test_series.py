"""Whatever source stands in, SHOW SERIES of a real InfluxDB stays what it was."""

from __future__ import annotations

import json
import time
from pathlib import Path

from energyrecorder.secret import Secret
from energyrecorder_execd.emit import Origin, power_lines
from energyrecorder_execd.findings import Findings
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.rediscovery import RETURN_S
from support.fake_http import FakeHttp

CASES = Path(__file__).resolve().parents[1] / "testcases/redfish"


class Collector:
    """One BMC's reader and the lines that it wrote; sources are taken away and given back."""

    def __init__(self, case, *, components=False):
        documents = json.loads((CASES / case / "responses.json").read_text(encoding="utf-8"))
        self.ahead_s = 0.0
        self.http = FakeHttp(documents)
        self.all = dict(self.http.documents)
        self.facts = {}
        self.options = {"components": components}
        self.start()

    def start(self):
        """Start it with what the last one remembered."""
        self.facts = json.loads(json.dumps(self.facts))
        target = Target("bmc-1", "127.0.0.1", 1, "http", "u", Secret("p"), options=self.options)
        context = Context(Memory(self.facts), lambda: time.time_ns() + int(self.ahead_s * 1e9))
        self.reader = RedfishReader(target, context, HttpClients())
        self.reader._http = self.http
        self.findings = Findings(self.facts)

    def without(self, *parts):
        """Take the resources away whose path holds one of ``parts``."""
        kept = {path: body for path, body in self.all.items() if not any(part in path for part in parts)}
        self.http.documents = kept

    async def polls(self, count):
        """Return sources and lines of some polls."""
        sources, lines = [], []
        for _ in range(count):
            poll = await self.reader.poll()
            self.findings.learn(poll)
            lines += power_lines(Origin("bmc-1", "lab", {"rack": "r7"}, self.findings.nodes), poll)
            sources += [reading.source for reading in poll.readings if reading.scope != "component"]
        return sources, lines


def _series(influxd, database):
    return {row[0] for series in influxd.query("SHOW SERIES", database) for row in series["values"]}


async def test_a_fallback_and_its_healing_start_no_series(influxd):
    """Power resource, then a sensor, then the supplies, then the Power resource again; with a restart."""
    influxd.query("CREATE DATABASE fallback")
    dell = Collector("dell-r750-idrac9-6.00", components=False)
    sources, lines = await dell.polls(2)
    influxd.write("fallback", "\n".join(lines))
    before = _series(influxd, "fallback")
    assert before == {"server_power,env=lab,rack=r7,scope=server,server=bmc-1"}
    seen = set(sources)
    dell.without("/Power")
    sources, lines = await dell.polls(3)
    seen |= set(sources)
    dell.start()
    more, again = await dell.polls(2)
    dell.without()
    dell.ahead_s += RETURN_S + 1
    healed, last = await dell.polls(6)
    influxd.write("fallback", "\n".join(lines + again + last))
    assert seen | set(more) >= {"power_control", "sensor"}
    assert healed[-1] == "power_control"
    assert _series(influxd, "fallback") == before


async def test_a_node_that_is_left_alone_keeps_its_name(influxd):
    """Cray EX235n: one of two nodes is taken out; the other's series goes on, after a restart too."""
    influxd.query("CREATE DATABASE nodes")
    cray = Collector("cray-ex235n")
    _, lines = await cray.polls(1)
    influxd.write("nodes", "\n".join(lines))
    before = _series(influxd, "nodes")
    assert len(before) == 2
    cray.without("Node1")
    cray.ahead_s += 7 * 3600
    _, lines = await cray.polls(8)
    cray.start()
    _, again = await cray.polls(2)
    influxd.write("nodes", "\n".join(lines + again))
    assert _series(influxd, "nodes") == before


async def test_parts_are_series_of_their_own_and_supplies_keep_theirs(influxd):
    """Lenovo: four supplies at one time stamp are four points, and stay the same four."""
    influxd.query("CREATE DATABASE parts")
    lenovo = Collector("lenovo-sr670v2-xcc-2.83", components=True)
    _, lines = await lenovo.polls(2)
    influxd.write("parts", "\n".join(lines))
    series = _series(influxd, "parts")
    assert len(series) == 7
    assert len([key for key in series if "part=psu" in key]) == 4
    (count,) = influxd.query("SELECT count(watts) FROM server_power WHERE part =~ /psu/", "parts")
    assert count["values"][0][1] == 8
