"""What every reader keeps to, whatever its protocol: the contract at the top of `readers.base`."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder.schema import ERRORS
from energyrecorder.secret import Secret
from energyrecorder_execd.readers.base import Context, Memory
from energyrecorder_execd.readers.registry import Registry
from support.bmcsim import simulated
from support.readers import target

PROTOCOLS = {
    "redfish": 'protocol = "redfish"\npayload = "dell-r640-idrac9"',
    "ilo": 'protocol = "ilo5"',
    "ipmi": 'protocol = "ipmi"',
}


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


@contextlib.asynccontextmanager
async def _reading(folder, protocol, *, watts=300, heard=lambda _: None, **changes):
    """Run a BMC of a constant power and a reader of it; yields both."""
    bmc = f'[[bmc]]\nid = "a"\n{PROTOCOLS[protocol]}\npower = {{ constant_w = {watts} }}\n'
    async with simulated(folder, bmc) as sim:
        registry = Registry()
        aim = target(sim, "a", address="127.0.0.1", port=sim.fleet.bmcs["a"].port, **changes)
        reader = registry.reader(protocol, aim, Context(Memory(), time.time_ns, heard))
        try:
            yield sim, reader
        finally:
            await reader.close()
            await registry.close()


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_a_poll_that_is_cancelled_leaves_the_reader_usable(tmp_path, protocol, cut):
    """Wherever the first poll is cut off: after its first answer, its second, its third."""
    answers = 0

    def heard(_):
        nonlocal answers
        answers += 1
        if answers == cut:
            task.cancel()

    async with _reading(tmp_path, protocol, heard=heard) as (_, reader):
        task = asyncio.create_task(reader.poll())
        with pytest.raises(asyncio.CancelledError):
            await task
        poll = await reader.poll()
        assert [reading.watts for reading in poll.readings if reading.part is None] == [300.0]
        assert (poll.error, poll.protocol) == ("", protocol)


async def test_a_refused_log_in_is_one_attempt(tmp_path, protocol):
    """Its reason is auth; there is no second try, and no other way of logging in."""
    async with _reading(tmp_path, protocol, password=Secret("wrong")) as (sim, reader):
        with pytest.raises(BmcAuthError) as refused:
            await reader.poll()
        assert refused.value.reason == "auth"
        stats = (await sim.ask("/stats"))["a"]
        assert (stats["refused"], stats["log_ins"]) == (1, 0)


async def test_no_power_of_a_host_that_is_on_is_no_value(tmp_path, protocol):
    """Never 0; the reason stands beside it."""
    async with _reading(tmp_path, protocol, watts=0) as (_, reader):
        poll = await reader.poll()
    assert [reading.watts for reading in poll.readings if reading.watts is not None] == []
    assert (poll.error, poll.host) == ("no_reading", {None: "on"})
    assert poll.message


async def test_a_bmc_that_is_not_there_is_told_by_a_reason(tmp_path, protocol):
    """No other exception comes out, and `close` raises none."""
    async with _reading(tmp_path, protocol) as (sim, reader):
        await sim.fleet.close()
        with pytest.raises((BmcError, TimeoutError)) as told:
            async with asyncio.timeout(20):
                await reader.poll()
        assert not isinstance(told.value, BmcError) or told.value.reason in ERRORS
