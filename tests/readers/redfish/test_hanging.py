"""A resource that hangs for good costs neither the plan nor the readings of a BMC that answers otherwise."""

from __future__ import annotations

import asyncio

import pytest

from energyrecorder_execd.readers.redfish import planner
from energyrecorder_execd.readers.redfish.rediscovery import RETURN_S
from energyrecorder_execd.readers.redfish.walk import TRIES
from support.redfish_bench import ROOT, Bench, control, ref, tree, values

ENCLOSURE = f"{ROOT}/Chassis/Enclosure"
HANGING = f"{ENCLOSURE}/Power"


def _dell():
    """Return a computer in an enclosure, which comes first and has a Power resource of its own."""
    documents = tree(control(200))
    documents[f"{ROOT}/Chassis"]["Members"].insert(0, ref(ENCLOSURE))
    documents[ENCLOSURE] = {"Id": "Enclosure", "ChassisType": "Enclosure", "Power": ref(HANGING)}
    documents[HANGING] = {"PowerControl": []}
    return documents


async def _cut_off(bench):
    """Begin a poll and end it, as its deadline would, where the BMC hangs."""
    bench.hung.clear()
    task = asyncio.create_task(bench.reader.poll())
    async with asyncio.timeout(30):
        await bench.hung.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_first_walk_goes_on_without_the_resource_that_hangs():
    """After two polls that were ended there; ten minutes later it is tried again."""
    bench = Bench(_dell())
    bench.hanging = {HANGING}
    for _ in range(TRIES):
        await _cut_off(bench)
    poll, asked = await bench.poll()
    assert (values(poll), poll.error) == ([("power_control", 200.0)], "")
    assert HANGING not in asked
    bench.hanging = set()
    bench.clock.ahead_s += RETURN_S + 1
    assert HANGING in {path for _ in range(3) for path in (await bench.poll())[1]}


async def test_while_the_whole_bmc_hangs_no_resource_is_to_blame():
    """When it answers again the walk goes on with the very resource at which it stopped."""
    bench = Bench(_dell())
    bench.hanging = {HANGING}
    await _cut_off(bench)
    bench.hanging = {HANGING, f"{ROOT}/"}
    for _ in range(2 * TRIES):
        await _cut_off(bench)
    bench.hanging = set()
    poll, asked = await bench.poll()
    assert values(poll) == [("power_control", 200.0)]
    assert asked[:2] == [f"{ROOT}/", HANGING]


async def test_a_renewal_that_hangs_costs_no_reading(monkeypatch):
    """Each poll gives its value, and the renewal comes to its end without the resource."""
    monkeypatch.setattr(planner, "RENEWAL_LIMIT_S", 0.05)
    bench = Bench(_dell())
    await bench.poll()
    made_ns = bench.reader._planner.plan.made_ns
    bench.hanging = {HANGING}
    shown = []

    async def poll():
        shown.append(values((await bench.poll())[0]))

    bench.clock.ahead_s += 7 * 3600
    for _ in range(12):
        await poll()
    assert shown == [[("power_control", 200.0)]] * 12
    assert bench.reader._planner.plan.made_ns > made_ns
