"""The UDP proxy between client and simulated BMC: seeded loss, delay, copies, disorder."""

from __future__ import annotations

import asyncio

import pytest

from bmcsim.ipmi_console import DCMI_POWER, Bench, ipmi_message, v15
from energyrecorder_bmcsim.ipmi.proxy import UdpProxy, Weather

GUID = v15(ipmi_message(0x06, 0x37))


class _Proxied:
    def __init__(self, seed=1, **weather):
        self.bench = Bench()
        self.weather = Weather(**weather)
        self.seed = seed

    async def __aenter__(self):
        await self.bench.__aenter__()
        self.proxy = UdpProxy(self.bench.port, self.weather, seed=self.seed)
        self.console = await self.bench.console(await self.proxy.start())
        return self

    async def __aexit__(self, *_):
        await self.proxy.close()
        await self.bench.__aexit__()


async def _until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.001)


async def test_fair_weather():
    """Without faults a whole log-in and a reading pass, both ways; two clients are kept apart."""
    async with _Proxied() as proxied:
        assert await proxied.console.log_in() == 0
        assert (await proxied.console.command(*DCMI_POWER))[0] == 0
        other = await proxied.bench.console(proxied.console.transport.get_extra_info("peername")[1])
        assert await other.log_in(suite=3) == 0
        assert (await proxied.console.command(*DCMI_POWER))[0] == 0
        assert proxied.proxy.stats()["lost"] == 0


async def test_each_direction_is_late_by_the_delay():
    async with _Proxied(delay_s=0.05) as proxied:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await proxied.console.exchange(GUID)
        assert loop.time() - began_s >= 0.1


async def test_duplicates():
    """Requests and answers come twice: four answers to one request, in a session two, as one is a replay."""
    async with _Proxied(duplicate=1.0) as proxied:
        await proxied.console.exchange(GUID)
        for _ in range(3):
            assert (await proxied.console.receive())[20] == 0
        proxied.proxy.weather = Weather()
        assert await proxied.console.log_in() == 0
        proxied.proxy.weather = Weather(duplicate=1.0)
        assert (await proxied.console.command(*DCMI_POWER))[0] == 0
        assert (await proxied.console.receive())[:4] == b"\x06\x00\xff\x07"
        with pytest.raises(TimeoutError):
            await proxied.console.receive(0.1)


async def test_reordering():
    """Held back datagrams are overtaken, none is lost."""
    async with _Proxied(reorder=0.4, reorder_s=0.03, seed=3) as proxied:
        for sequence in range(20):
            proxied.console.send(v15(ipmi_message(0x06, 0x37, sequence=sequence)))
        order = [(await proxied.console.receive())[18] >> 2 for _ in range(20)]
        assert sorted(order) == list(range(20))
        assert order != list(range(20))


async def test_about_the_given_part_is_lost():
    async with _Proxied(loss=0.3) as proxied:
        for sequence in range(60):
            proxied.console.send(v15(ipmi_message(0x06, 0x37, sequence=sequence)))
        await _until(lambda: sum(proxied.proxy.stats().values()) >= 60)
        assert 15 <= proxied.proxy.stats()["lost"] <= 45


async def test_the_same_seed_gives_the_same_fate():
    """With one request at a time, two runs lose the same datagrams; another seed loses others."""

    async def fate(seed):
        async with _Proxied(loss=0.5, seed=seed) as proxied:
            answered = []
            for _ in range(24):
                before = proxied.proxy.stats()
                proxied.console.send(GUID)
                # Request lost, or request through and answer lost, or both through.
                await _until(
                    lambda before=before: (
                        (now := proxied.proxy.stats())["lost"] > before["lost"]
                        or now["forwarded"] == before["forwarded"] + 2
                    )
                )
                answered.append(proxied.proxy.stats()["lost"] == before["lost"])
            return answered

    first = await fate(5)
    assert first == await fate(5)
    assert first != await fate(6)


@pytest.mark.parametrize("key", ["loss", "duplicate", "reorder"])
def test_impossible_weather(key):
    """Parts lie between 0 and 1."""
    with pytest.raises(ValueError, match=f"key '{key}' is 1.5; allowed: 0 to 1"):
        Weather(**{key: 1.5})
