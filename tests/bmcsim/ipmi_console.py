"""A bare remote console for tests of the simulated IPMI BMC, written against the standard, not against it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from energyrecorder_bmcsim.ipmi.server import IpmiBmc, IpmiSettings
from support.clock import Clock

SUITES = {3: (1, 1, 1), 17: (3, 4, 1)}
DIGESTS = {1: ("sha1", 12), 3: ("sha256", 16)}
DCMI_POWER = (0x2C, 0x02, bytes((0xDC, 0x01, 0x00, 0x00)))
ACCOUNT = {"user": b"energy", "password": b"secret"}
ANSWER_S = 30.0
SILENCE_S = 0.15


class Source:
    """What the BMC measures: set it and read it back."""

    def __init__(self, watts=213.0, host_on=True):
        self.power = watts
        self.on = host_on

    def watts(self, now_ns):
        return self.power(now_ns) if callable(self.power) else self.power

    def host_on(self, now_ns):
        return self.on


class Bench:
    """A BMC under test, with its source and clock."""

    def __init__(self, *, recording=None, **settings):
        self.source = Source()
        self.clock = Clock()
        self.bmc = IpmiBmc(
            IpmiSettings(**{**ACCOUNT, **settings}), recording or self.source, clock=self.clock
        )
        self.port = 0
        self.consoles = []

    async def __aenter__(self):
        self.port = await self.bmc.start()
        return self

    async def __aexit__(self, *_):
        for console in self.consoles:
            console.close()
        await self.bmc.close()

    async def console(self, port=None):
        console = Console()
        await console.connect(port or self.port)
        self.consoles.append(console)
        return console

    async def logged_in(self, **options):
        console = await self.console()
        assert await console.log_in(**options) == 0
        return console


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.received.put_nowait(data)


def ipmi_message(netfn, command, data=b"", *, responder=0x20, requester=0x81, sequence=1, lun=0):
    head = bytes((responder, netfn << 2 | lun))
    tail = bytes((requester, sequence << 2, command)) + data
    return head + bytes((-sum(head) & 0xFF,)) + tail + bytes((-sum(tail) & 0xFF,))


def v15(message):
    return b"\x06\x00\xff\x07" + struct.pack("<BIIB", 0, 0, 0, len(message)) + message


def v20(payload_type, payload):
    return b"\x06\x00\xff\x07" + struct.pack("<BBIIH", 6, payload_type, 0, 0, len(payload)) + payload


class Console:
    """One UDP socket and at most one session."""

    def __init__(self):
        self.transport = None
        self.inbox = None
        self.console_id = 0x01020304
        self.bmc_id = 0
        self.sequence = 0
        self.message = 0
        self.k1 = self.k2 = b""
        self.digest, self.size = "sha1", 12
        self.random = os.urandom(16)

    async def connect(self, port):
        loop = asyncio.get_running_loop()
        self.transport, self.inbox = await loop.create_datagram_endpoint(
            _Inbox, remote_addr=("127.0.0.1", port)
        )

    def close(self):
        self.transport.close()

    def send(self, datagram):
        self.transport.sendto(datagram)

    async def receive(self, within_s=ANSWER_S):
        return await asyncio.wait_for(self.inbox.received.get(), within_s)

    async def exchange(self, datagram):
        self.send(datagram)
        return await self.receive()

    async def silent(self, datagram):
        """Tell whether the BMC answers nothing."""
        self.send(datagram)
        try:
            await self.receive(SILENCE_S)
        except TimeoutError:
            return True
        return False

    async def bare(self, netfn, command, data=b""):
        """A command outside a session; returns completion code and data."""
        answer = await self.exchange(v15(ipmi_message(netfn, command, data)))
        return answer[20], answer[21:-1]

    async def open_session(self, suite=17, *, privilege=4, tag=1):
        payload = struct.pack("<BBxxI", tag, privilege, self.console_id)
        algorithms_ = suite if isinstance(suite, tuple) else SUITES[suite]
        for number, algorithm in enumerate(algorithms_):
            payload += struct.pack("<BxxBBxxx", number, 0 if algorithm is None else 8, algorithm or 0)
        answer = (await self.exchange(v20(0x10, payload)))[16:]
        if answer[1] == 0:
            self.bmc_id = struct.unpack_from("<I", answer, 8)[0]
            self.digest, self.size = DIGESTS[answer[16]]
        return answer

    async def rakp_1(self, *, user=b"energy", role=0x14, tag=2):
        head = struct.pack("<BxxxI", tag, self.bmc_id) + self.random
        return (await self.exchange(v20(0x12, head + bytes((role, 0, 0, len(user))) + user)))[16:]

    async def log_in(self, *, suite=17, password=b"secret", kg=b"", user=b"energy", role=0x14):
        """Log in; return the first status that is not 0, or 0 once privilege is raised to the role."""
        answer = await self.open_session(suite)
        if answer[1]:
            return answer[1]
        answer = await self.rakp_1(user=user, role=role)
        if answer[1]:
            return answer[1]
        bmc_random, guid = answer[8:24], answer[24:40]
        account = bytes((role, len(user))) + user
        ids = struct.pack("<II", self.console_id, self.bmc_id)
        proof = self.hash(password, ids + self.random + bmc_random + guid + account)
        if proof != answer[40:]:
            return "rakp2"
        proof = self.hash(password, bmc_random + ids[:4] + account)
        self.rakp_3 = v20(0x14, struct.pack("<BBxxI", 3, 0, self.bmc_id) + proof)
        answer = (await self.exchange(self.rakp_3))[16:]
        if answer[1]:
            return answer[1]
        key = self.hash(kg or password, self.random + bmc_random + account)
        if answer[8:] != self.hash(key, self.random + ids[4:] + guid)[: self.size]:
            return "rakp4"
        self.k1, self.k2 = (self.hash(key, bytes((number,)) * 20) for number in (1, 2))
        code, _ = await self.command(0x06, 0x3B, bytes((role & 0x0F,)))
        return code

    def hash(self, key, octets):
        return hmac.new(key, octets, getattr(hashlib, self.digest)).digest()

    def sealed(self, message, *, sequence=None):
        """Return the datagram of a message in the session, with the next or the given number."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        padding = -(len(message) + 1) % 16
        plain = message + bytes(range(1, padding + 1)) + bytes((padding,))
        vector = os.urandom(16)
        cipher = Cipher(algorithms.AES(self.k2[:16]), modes.CBC(vector)).encryptor()
        payload = vector + cipher.update(plain) + cipher.finalize()
        body = struct.pack("<BBIIH", 6, 0xC0, self.bmc_id, sequence, len(payload)) + payload
        fill = -(len(body) + 2) % 4
        body += b"\xff" * fill + bytes((fill, 7))
        return b"\x06\x00\xff\x07" + body + self.hash(self.k1, body)[: self.size]

    def opened(self, datagram):
        """Return the message in a datagram of the session."""
        body, code = datagram[4 : -self.size], datagram[-self.size :]
        assert self.hash(self.k1, body)[: self.size] == code
        assert struct.unpack_from("<I", body, 2)[0] == self.console_id
        (length,) = struct.unpack_from("<H", body, 10)
        payload = body[12 : 12 + length]
        cipher = Cipher(algorithms.AES(self.k2[:16]), modes.CBC(payload[:16])).decryptor()
        plain = cipher.update(payload[16:]) + cipher.finalize()
        return plain[: len(plain) - 1 - plain[-1]]

    async def command(self, netfn, command, data=b"", *, lun=0):
        """A command in the session; returns completion code and data."""
        self.message = self.message % 63 + 1
        request = ipmi_message(netfn, command, data, sequence=self.message, lun=lun)
        answer = self.opened(await self.exchange(self.sealed(request)))
        assert answer[4] >> 2 == self.message
        return answer[6], answer[7:-1]
