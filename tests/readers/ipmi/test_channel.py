"""One exchange with a BMC: retransmission, what is learned of its latency, and cancellation."""

from __future__ import annotations

import asyncio
import time

import pytest

from energyrecorder.errors import BmcUnreachableError
from energyrecorder_bmcsim.ipmi.server import IpmiFault
from energyrecorder_execd.readers.ipmi.lanplus import Endpoint, LanplusTransport
from energyrecorder_execd.readers.ipmi.lanplus.channel import SENDS, Channel
from energyrecorder_execd.readers.ipmi.lanplus.packet import PacketError
from support.ipmi_bmc import start_bmc

DEVICE_ID = (0x06, 0x01)


class Loopback(Endpoint):
    """An endpoint that hands the answers it is told straight back; None is a lost datagram."""

    def __init__(self, *answers):
        super().__init__()
        self.sent = []
        self._answers = list(answers)
        self._back = None

    def route(self, peer, session_id, receiver):
        self._back = receiver

    def send(self, peer, datagram):
        self.sent.append(datagram)
        answer = self._answers.pop(0) if self._answers else None
        if answer is not None:
            asyncio.get_running_loop().call_soon(self._back, answer)


async def channel_of(endpoint, timeout_s=0.4):
    channel = Channel(endpoint, address="127.0.0.1", port=623, timeout_s=timeout_s)
    await channel.locate()
    channel.route(1)
    return channel


async def test_each_transmission_is_made_anew_and_silence_is_none():
    """Four datagrams, none like the other, then None."""
    endpoint = Loopback()
    channel = await channel_of(endpoint)
    numbers = iter(range(10))
    assert await channel.exchange(lambda: bytes((next(numbers),)), lambda _: b"") is None
    assert endpoint.sent == [bytes((number,)) for number in range(SENDS)]
    assert (channel.requests, channel.unanswered) == (1, SENDS)


async def test_what_is_not_the_answer_is_waited_past():
    """Datagrams that match nothing, or are malformed, do not end the exchange."""
    endpoint = Loopback(b"malformed", b"other", b"answer")
    channel = await channel_of(endpoint)

    def match(datagram):
        if datagram == b"malformed":
            raise PacketError("malformed")
        return datagram if datagram == b"answer" else None

    assert await channel.exchange(lambda: b"?", match) == b"answer"
    assert (len(endpoint.sent), channel.unanswered) == (3, 0)


async def test_only_an_answer_to_a_single_transmission_tells_the_latency():
    """An answer after a retransmission may belong to either: the wait stays as it was (Karn)."""
    endpoint = Loopback(None, b"late", b"prompt")
    channel = await channel_of(endpoint)
    before = channel._wait_s
    await channel.exchange(lambda: b"?", lambda datagram: datagram)
    assert channel._wait_s == before
    await channel.exchange(lambda: b"?", lambda datagram: datagram)
    assert channel._wait_s < before


async def test_errors_of_the_answer_end_the_exchange():
    """What the answer means is told at once, not after further transmissions."""
    endpoint = Loopback(b"refused")
    channel = await channel_of(endpoint)

    def match(_):
        raise BmcUnreachableError("told", reason="unreachable")

    with pytest.raises(BmcUnreachableError, match="told"):
        await channel.exchange(lambda: b"?", match)
    assert len(endpoint.sent) == 1
    assert not channel.busy


async def test_a_session_that_did_not_answer_twice_is_left_when_the_caller_gives_up():
    """The caller's deadline may end before ours: the next request then logs in at once."""
    bmc = await start_bmc()
    endpoint = Endpoint()
    transport = LanplusTransport(bmc.login(timeout_s=8.0), endpoint, {})
    await transport.request(*DEVICE_ID)
    transport._channel._wait_s = 0.5
    bmc.server.inject(IpmiFault("bmc_reboot", start_ns=time.time_ns(), end_ns=time.time_ns() + 1_000_000))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.8):
            await transport.request(*DEVICE_ID)
    assert transport._session is None
    async with asyncio.timeout(60):
        assert await transport.request(*DEVICE_ID)
    assert transport.log_ins == 2
    await transport.close()
    endpoint.close()
    await bmc.server.close()


async def test_two_sessions_with_one_bmc_are_kept_apart():
    """A BMC and the satellite behind it may be two servers of the fleet: same address, two sessions."""
    bmc = await start_bmc()
    endpoint = Endpoint()
    transports = [LanplusTransport(bmc.login(), endpoint, {}) for _ in range(3)]
    await asyncio.gather(*(transport.open() for transport in transports))
    for _ in range(3):
        answers = await asyncio.gather(*(transport.request(*DEVICE_ID) for transport in transports))
        assert len(set(answers)) == 1
    assert [transport.log_ins for transport in transports] == [1, 1, 1]
    assert all(transport._channel.unanswered == 0 for transport in transports)
    assert bmc.server.stats()["live_sessions"] == 3
    for transport in transports:
        await transport.close()
    assert bmc.server.stats()["live_sessions"] == 0
    endpoint.close()
    await bmc.server.close()
