"""The whole reader over a bad network: loss, delay, restarts, garbage, replays, other BMCs on its socket."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time

import pytest

from energyrecorder.errors import BmcError
from energyrecorder_bmcsim.ipmi.proxy import Weather
from energyrecorder_bmcsim.ipmi.server import IpmiFault
from energyrecorder_execd.readers.ipmi.lanplus import Endpoint, LanplusTransport
from support.ipmi_bmc import start_bmc
from support.ipmi_reader import polling, reader_of, watts_of

MS_NS = 1_000_000


@pytest.mark.parametrize(
    ("weather", "polls"),
    [
        (Weather(loss=0.1), 20),
        pytest.param(Weather(loss=0.3), 12, marks=pytest.mark.e2e),
        (Weather(delay_s=0.2), 3),
        (Weather(duplicate=0.5), 20),
        (Weather(reorder=0.3, jitter_s=0.01), 20),
        (Weather(loss=0.1, duplicate=0.2, reorder=0.2, jitter_s=0.02), 12),
    ],
    ids=["loss 10 %", "loss 30 %", "0.4 s there and back", "duplicates", "reordering", "all"],
)
async def test_a_bad_network(endpoint, weather, polls):
    """Polls end, most of them with a value, none with a false one."""
    async with polling(endpoint, weather=weather) as (bmc, reader):
        good = 0
        for number in range(polls):
            bmc.meter.power_w = 200.0 + 4 * number
            with contextlib.suppress(BmcError, TimeoutError):
                async with asyncio.timeout(30.0):
                    poll = await reader.poll()
                assert watts_of(poll) == bmc.meter.power_w
                good += 1
        assert good >= 0.8 * polls


async def test_a_restarted_bmc_is_read_at_once_when_it_answers_again(endpoint):
    """Sessions forgotten and silence for two seconds: the reading comes soon, `make bench` says how soon."""
    async with polling(endpoint) as (bmc, reader):
        await reader.poll()
        silent_until_ns = time.time_ns() + 2000 * MS_NS
        bmc.server.inject(IpmiFault("bmc_reboot", start_ns=time.time_ns(), end_ns=silent_until_ns))
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(BmcError, TimeoutError):
                    async with asyncio.timeout(8):
                        poll = await reader.poll()
                    break
        assert watts_of(poll) == 216
        assert time.time_ns() - silent_until_ns < 20_000 * MS_NS


async def test_short_deadlines_do_not_keep_a_dead_session_alive(endpoint):
    """With a deadline shorter than our patience, polls still find out that the BMC forgot the session."""
    async with polling(endpoint, options={"timeout_s": 0.5}) as (bmc, reader):
        await reader.poll()
        bmc.server.inject(IpmiFault("bmc_reboot", start_ns=time.time_ns(), end_ns=time.time_ns() + MS_NS))
        outcomes = []
        async with asyncio.timeout(60):
            while 216 not in outcomes:
                with contextlib.suppress(BmcError, TimeoutError):
                    async with asyncio.timeout(0.5):
                        outcomes.append(watts_of(await reader.poll()))
        assert reader.log_ins == 2


async def test_an_idle_session_is_kept_alive(monkeypatch):
    """Polled less often than sessions last, a BMC is not logged in to each time."""
    monkeypatch.setattr("energyrecorder_execd.readers.ipmi.lanplus.client._KEEPALIVE_S", 0.2)
    monkeypatch.setattr("energyrecorder_execd.readers.ipmi.lanplus.client._LEAST_KEEPALIVE_S", 0.05)
    bmc = await start_bmc()
    endpoint = Endpoint()
    transport = LanplusTransport(bmc.login(), endpoint, {})
    await transport.request(0x06, 0x01)
    begun_s, before = time.monotonic(), bmc.server.stats()["requests"]
    async with asyncio.timeout(60):
        while bmc.server.stats()["requests"] < before + 3:  # noqa: ASYNC110  # a count has no event
            await asyncio.sleep(0.05)
    elapsed_s = time.monotonic() - begun_s
    assert elapsed_s >= 3 * 0.2 * 0.9
    assert await transport.request(0x06, 0x01)
    assert transport.log_ins == 1
    await transport.close()
    endpoint.close()
    await bmc.server.close()


class Tap:
    """A BMC's socket that keeps what is sent."""

    def __init__(self, transport):
        self.within = transport
        self.sent = []

    def sendto(self, datagram, peer):
        self.sent.append(datagram)
        self.within.sendto(datagram, peer)

    def close(self):
        self.within.close()


def spoiled(dice, datagram, number):
    """Return the datagram cut short, with flipped bits, or as it was: then it is a replay."""
    if number % 3 == 0:
        return datagram[: dice.randrange(len(datagram))]
    if number % 3 == 1:
        place = dice.randrange(len(datagram))
        flipped = bytes((datagram[place] ^ dice.randrange(1, 256),))
        return datagram[:place] + flipped + datagram[place + 1 :]
    return datagram


async def test_garbage_and_foreign_packets_change_nothing(endpoint):
    """6,000 seeded datagrams at our socket, noise and spoiled answers, from the BMC and from a stranger."""
    async with polling(endpoint) as (bmc, reader):
        bmc.server._transport = tap = Tap(bmc.server._transport)
        await reader.poll()
        dice = random.Random(5)
        sock = endpoint._lanplus._sockets[socket.AF_INET]
        ours = ("127.0.0.1", sock.getsockname()[1])
        session = reader._transport._within._session
        heads = [
            b"",
            b"\x06\x00\xff\x07",
            b"\x06\x00\xff\x07\x06\xc0" + session.local_id.to_bytes(4, "little"),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(6000):
                if number % 2:
                    datagram = dice.choice(heads) + dice.randbytes(dice.randrange(60))
                else:
                    datagram = spoiled(dice, dice.choice(tap.sent), number // 2)
                if number % 4 < 2:
                    stranger.sendto(datagram, ours)
                else:
                    tap.within.sendto(datagram, ours)  # from the BMC's own address
                if number % 500 == 0:
                    bmc.meter.power_w = 200.0 + number // 100
                    assert watts_of(await reader.poll()) == bmc.meter.power_w
        assert endpoint._lanplus.strangers > 0
        assert reader._transport.log_ins == 1


async def test_an_old_answer_is_not_taken_for_a_new_one(endpoint):
    """While the BMC is silent all its earlier answers come again: no value.

    Message numbers come again after 64 requests, so that one of them seems to answer the present request.
    """
    async with polling(endpoint, options={"timeout_s": 2.0}) as (bmc, reader):
        bmc.server._transport = tap = Tap(bmc.server._transport)
        for number in range(70):
            bmc.meter.power_w = 200.0 + number
            assert watts_of(await reader.poll()) == 200.0 + number
        old = list(tap.sent)
        ours = ("127.0.0.1", endpoint._lanplus._sockets[socket.AF_INET].getsockname()[1])
        silence = IpmiFault("silent")
        bmc.server.inject(silence)
        waiting = asyncio.create_task(reader.poll())
        await asyncio.sleep(0)
        for datagram in old:
            tap.within.sendto(datagram, ours)
        with pytest.raises(BmcError) as caught:
            await waiting
        assert caught.value.reason == "timeout"
        silence.end_ns = 0
        assert watts_of(await reader.poll()) == 269.0


async def test_a_bmc_that_answers_for_another_is_not_heard(endpoint):
    """Two sessions on one socket: packets of one BMC with the session id of the other are dropped."""
    async with polling(endpoint) as (_, first), polling(endpoint) as (two, second):
        two.meter.power_w = 100.0
        await first.poll()
        await second.poll()
        ours = ("127.0.0.1", endpoint._lanplus._sockets[socket.AF_INET].getsockname()[1])
        heard = []
        transport = first._transport._within
        transport._channel._receiver = heard.append
        stolen = b"\x06\x00\xff\x07\x06\xc0" + transport._session.local_id.to_bytes(4, "little")
        two.server._transport.sendto(stolen + bytes(40), ours)
        assert watts_of(await second.poll()) == 100.0
        assert heard == []
        assert watts_of(await first.poll()) == 216


async def test_a_dead_bmc_delays_no_other(endpoint):
    """Over the same socket one is read many times while the other one is still waited for."""
    async with polling(endpoint) as (dead, waits), polling(endpoint) as (_, reader):
        await waits.poll()
        dead.server.inject(IpmiFault("silent"))
        waiting = asyncio.create_task(waits.poll())
        for _ in range(5):
            assert watts_of(await reader.poll()) == 216
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_many_bmcs_share_one_socket(endpoint):
    """64 BMCs log in at once and are read over a single socket, each with its own value."""
    running = [await start_bmc() for _ in range(64)]
    readers = [reader_of(endpoint, bmc.port) for bmc in running]
    try:
        for number, bmc in enumerate(running):
            bmc.meter.power_w = 100.0 + number
        polls = await asyncio.gather(*(reader.poll() for reader in readers))
        assert [watts_of(poll) for poll in polls] == [100.0 + number for number in range(64)]
        assert len(endpoint._lanplus._sockets) == 1
        await asyncio.gather(*(reader.close() for reader in readers))
        assert all(bmc.server.stats()["live_sessions"] == 0 for bmc in running)
    finally:
        for bmc in running:
            await bmc.server.close()
