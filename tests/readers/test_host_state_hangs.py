"""A BMC whose resource with the state of the host hangs is read nevertheless."""

from __future__ import annotations

import pytest

from energyrecorder_execd.readers import host_state
from energyrecorder_execd.readers.ilo import IloReader
from energyrecorder_execd.readers.redfish import RedfishReader
from support.bmcsim import simulated
from support.readers import Clock, reading, target

BMC = '[[bmc]]\nid = "a"\nscheme = "http"\npower = { constant_w = 300 }\n'
REDFISH = BMC + 'protocol = "redfish"\npayload = "dell-r640-idrac9"\n'
ILO = BMC + 'protocol = "ilo5"\n'


@pytest.mark.parametrize(
    ("bmc", "factory"), [(REDFISH, RedfishReader), (ILO, IloReader)], ids=["redfish", "ilo"]
)
async def test_a_state_that_never_comes_costs_no_reading(tmp_path, monkeypatch, bmc, factory):
    """It is unknown then; the value is not."""
    clock = Clock()
    async with simulated(tmp_path, bmc) as sim, reading(factory, target(sim, "a"), clock=clock) as reader:
        assert (await reader.poll()).host == {None: "on"}
        await sim.order("/fault", {"server": "a", "kind": "slow", "delay_s": 600, "path": "*/Systems/*"})
        monkeypatch.setattr(host_state, "LIMIT_S", 0.05)
        clock.ahead_s = host_state.MAX_AGE_S + 1
        for _ in range(2):
            poll = await reader.poll()
            assert (poll.error, poll.host) == ("", {None: "unknown"})
            assert {one.watts for one in poll.readings if one.part is None} <= {300.0}
            # An iLO gives a record once in ten seconds.
            assert poll.readings or factory is IloReader
