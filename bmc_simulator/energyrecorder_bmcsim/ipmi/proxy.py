"""A UDP proxy between client and BMC that loses, delays, doubles and reorders datagrams, seeded."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import cast

Peer = tuple[str, int]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Weather:
    """What befalls datagrams, in each direction by itself.

    Args:
        loss: Part of the datagrams that is lost, 0..1.
        delay_s: What each one is late, seconds.
        jitter_s: Up to how much more, evenly spread, seconds.
        duplicate: Part that arrives twice, 0..1.
        reorder: Part that is held back until ``reorder_s`` later, so that later ones overtake it, 0..1.
        reorder_s: How long those are held back, seconds.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.05

    def __post_init__(self) -> None:
        for key in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"key {key!r} is {getattr(self, key)!r}; allowed: 0 to 1")


class UdpProxy:
    """A proxy in front of one BMC; each client gets a socket of its own towards the BMC.

    The same seed and the same order of datagrams give the same fate to each of them.

    Args:
        target_port: The BMC's port on 127.0.0.1.
        weather: What befalls datagrams; may be set anew at any time.
        seed: Of the random numbers.
    """

    def __init__(self, target_port: int, weather: Weather, *, seed: int) -> None:
        self.weather = weather
        self._target = (LOOPBACK, target_port)
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[Peer, asyncio.DatagramTransport] = {}
        self._opening: dict[Peer, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._forwarded = 0
        self._lost = 0

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1 and return the port; 0 takes any free one."""
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(
            lambda: _Front(self), local_addr=(LOOPBACK, port)
        )
        return cast("int", self._front.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """Stop, and drop what is still on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in (self._front, *self._backs.values()):
            if transport is not None:
                transport.close()
        self._front = None
        self._backs.clear()
        await asyncio.sleep(0)

    def stats(self) -> dict[str, int]:
        """Return how many datagrams (copies included) were forwarded, and how many lost."""
        return {"forwarded": self._forwarded, "lost": self._lost}

    def from_client(self, datagram: bytes, client: Peer) -> None:
        """Take a datagram of a client."""
        back = self._backs.get(client)
        if back is not None:
            self._forward(back, datagram, None)
        elif client in self._opening:
            self._opening[client].append(datagram)
        else:
            self._opening[client] = [datagram]
            task = asyncio.get_running_loop().create_task(self._open(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def from_bmc(self, datagram: bytes, client: Peer) -> None:
        """Take a datagram of the BMC for a client."""
        if self._front is not None:
            self._forward(self._front, datagram, client)

    async def _open(self, client: Peer) -> None:
        loop = asyncio.get_running_loop()
        back, _ = await loop.create_datagram_endpoint(lambda: _Back(self, client), remote_addr=self._target)
        self._backs[client] = back
        for datagram in self._opening.pop(client):
            self._forward(back, datagram, None)

    def _forward(self, transport: asyncio.DatagramTransport, datagram: bytes, to: Peer | None) -> None:
        weather, draw = self.weather, self._random.random
        # One draw per question for every datagram: the fate of later ones does not hang on earlier answers.
        lost, doubled, held = draw() < weather.loss, draw() < weather.duplicate, draw() < weather.reorder
        delay_s = weather.delay_s + draw() * weather.jitter_s + (weather.reorder_s if held else 0.0)
        if lost:
            self._lost += 1
            return
        for _ in range(2 if doubled else 1):
            self._forwarded += 1
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self._transmit, transport, datagram, to)
            else:
                self._transmit(transport, datagram, to)

    def _transmit(self, transport: asyncio.DatagramTransport, datagram: bytes, to: Peer | None) -> None:
        if not transport.is_closing():
            transport.sendto(datagram, to)


class _Front(asyncio.DatagramProtocol):
    def __init__(self, proxy: UdpProxy) -> None:
        self._proxy = proxy

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        self._proxy.from_client(data, addr)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, proxy: UdpProxy, client: Peer) -> None:
        self._proxy = proxy
        self._client = client

    def datagram_received(self, data: bytes, addr: Peer) -> None:  # noqa: ARG002 - asyncio's signature
        self._proxy.from_bmc(data, self._client)
