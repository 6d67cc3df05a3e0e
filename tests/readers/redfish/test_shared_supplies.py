"""Supplies that feed several computers are never billed to one, whether its model is known or not."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from support.fake_http import FakeHttp
from support.readers import Clock

CASES = Path(__file__).parents[2] / "testcases/redfish"
DELL, DELL_POWER = "/redfish/v1/Systems/System.Embedded.1", "/redfish/v1/Chassis/System.Embedded.1/Power"


class _Bmc:
    """A BMC made of the documents of a case, which hides the model of its server."""

    def __init__(self, case, system):
        self.documents = json.loads((CASES / case / "responses.json").read_text(encoding="utf-8"))
        del self.documents[system]["Model"]
        self.clock = Clock()
        self.facts = {}
        self.restart()

    def restart(self):
        aim = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"), options={"components": True})
        self.reader = RedfishReader(aim, Context(Memory(self.facts), self.clock), HttpClients())

    async def poll(self):
        """Poll, ten seconds after the last time."""
        self.clock.ahead_s += 10
        self.reader._http = FakeHttp(copy.deepcopy(self.documents))
        return await self.reader.poll()

    async def seen(self, polls=12):
        """Return the watts that so many polls show, by part."""
        readings = [reading for _ in range(polls) for reading in (await self.poll()).readings]
        return {reading.part: reading.watts for reading in readings}


async def test_a_sled_that_hides_its_model_has_no_supplies():
    """Not from the first poll on, when its own power is not there."""
    bmc = _Bmc("dell-c6615-sled", DELL)
    bmc.documents[DELL_POWER]["PowerControl"][0]["PowerConsumedWatts"] = None
    shown = await bmc.seen()
    assert None not in shown
    assert "psu1" not in shown


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "after a restart"])
async def test_supplies_that_were_seen_to_feed_more_are_never_the_total(restarts):
    """Nothing but the figures tells that a twin's 755 W are not this node's 176."""
    bmc = _Bmc("supermicro-x10dff-3.25", "/redfish/v1/Systems/1")
    shown = await bmc.seen(polls=1)
    assert shown == {None: 176.0}
    bmc.documents["/redfish/v1/Chassis/1/Power"]["PowerControl"][0]["PowerConsumedWatts"] = None
    if restarts:
        bmc.facts = json.loads(json.dumps(bmc.facts))
        bmc.restart()
    assert await bmc.seen() == {}


async def test_supplies_of_a_computer_of_its_own_stand_in():
    """A total a little below the supplies' is their losses."""
    bmc = _Bmc("dell-r750-idrac9-6.00", "/redfish/v1/Systems/1")
    assert (await bmc.seen(polls=1))[None] == 614.0
    bmc.documents["/redfish/v1/Chassis/1/Power"]["PowerControl"][0]["PowerConsumedWatts"] = None
    bmc.documents = {path: body for path, body in bmc.documents.items() if "Sensors" not in path}
    assert (await bmc.seen())[None] == 612.5
