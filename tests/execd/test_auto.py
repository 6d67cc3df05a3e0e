"""`protocol = "auto"`: Redfish, then iLO REST, then IPMI, remembered; never on after a refused log-in."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web as web_server

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.auto import FORGET_S, AutoReader, remembered_protocol
from energyrecorder_execd.readers.base import Context, Memory, Poll, Target
from energyrecorder_execd.readers.ilo import IloReader
from energyrecorder_execd.readers.redfish import RedfishReader
from support.readers import Clock
from support.scripted import scripted


class Protocols:
    """Readers of a BMC that supports some protocols and not others."""

    def __init__(self, **behaviour):
        self.behaviour = behaviour
        self.asked = []
        self.ports = []
        self.closed = []

    def make(self, protocol, target, _context):
        self.ports.append((protocol, target.port))
        return _One(self, protocol)


class _One:
    def __init__(self, parent, protocol):
        self.parent = parent
        self.protocol = protocol
        self.requests = 0

    async def poll(self):
        self.parent.asked.append(self.protocol)
        self.requests += 1
        answer = self.parent.behaviour[self.protocol]
        if answer in {"ok", "ilo_fast_meter"}:
            return Poll((), {None: "on"}, self.protocol, answer, 1)
        kind = BmcAuthError if answer == "auth" else BmcError
        raise kind(f"{self.protocol} says {answer}", reason=answer)

    async def close(self):
        self.parent.closed.append(self.protocol)


@pytest.fixture
async def web():
    """A TCP server that accepts, as a BMC's web server does."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


def _auto(protocols, port, facts=None, clock=time.time_ns):
    facts = {} if facts is None else facts
    target = Target("a", "127.0.0.1", port, "https", "u", Secret("p"))
    return AutoReader(target, Context(Memory(facts), clock), protocols.make), facts


@pytest.mark.parametrize(
    ("behaviour", "asked"),
    [
        ({"redfish": "ok"}, ["redfish"]),
        ({"redfish": "unsupported", "ilo": "ok"}, ["redfish", "ilo"]),
        # Its own reader misses no record of an iLO's meter.
        ({"redfish": "ilo_fast_meter", "ilo": "ilo_fast_meter"}, ["redfish", "ilo"]),
        ({"redfish": "unsupported", "ilo": "unsupported", "ipmi": "ok"}, ["redfish", "ilo", "ipmi"]),
    ],
)
async def test_the_first_protocol_that_works_is_remembered(web, behaviour, asked):
    """Later polls, also after a restart, ask by that one alone."""
    protocols = Protocols(**behaviour)
    reader, facts = _auto(protocols, web)
    await reader.poll()
    assert protocols.asked == asked
    assert remembered_protocol(facts) == asked[-1]
    assert protocols.closed == asked[:-1]
    await reader.poll()
    assert reader.requests == len(asked) + 1
    again, _ = _auto(protocols, web, facts)
    await again.poll()
    assert protocols.asked == [*asked, asked[-1], asked[-1]]


@pytest.mark.parametrize("reason", ["auth", "tls", "privilege", "session_limit", "busy", "timeout", "data"])
async def test_only_not_supported_leads_on(web, reason):
    """Above all a refused log-in does not: the next protocol has the same account."""
    protocols = Protocols(redfish=reason, ilo="ok", ipmi="ok")
    reader, facts = _auto(protocols, web)
    with pytest.raises(BmcError, match=f"redfish says {reason}"):
        await reader.poll()
    assert protocols.asked == ["redfish"]
    assert remembered_protocol(facts) == ""


async def test_a_web_server_that_shows_its_page_for_everything_leads_on_to_ipmi():
    """As those of boards from before Redfish do; nothing logs in to it, and IPMI is remembered."""

    def page(_request):
        return web_server.Response(text="<!DOCTYPE html><title>Log in</title>", content_type="text/html")

    protocols = Protocols(ipmi="ok")
    clients = HttpClients()
    readers = {"redfish": RedfishReader, "ilo": IloReader}

    def make(protocol, target, context):
        if protocol in readers:
            return readers[protocol](target, context, clients)
        return protocols.make(protocol, target, context)

    async with scripted({}, page) as bmc:
        facts = {}
        reader = AutoReader(bmc.target(), Context(Memory(facts), time.time_ns), make)
        assert (await reader.poll()).protocol == "ipmi"
        assert {method for method, _ in bmc.asked} == {"GET"}
    assert remembered_protocol(facts) == "ipmi"
    await clients.close()


async def test_ipmi_is_asked_at_its_own_port_when_a_web_server_holds_the_given_one(web):
    """A port of the fleet file is then the web server's."""
    protocols = Protocols(redfish="unsupported", ilo="unsupported", ipmi="ok")
    reader, _ = _auto(protocols, web)
    await reader.poll()
    assert protocols.ports[-1] == ("ipmi", None)


async def test_no_web_server_at_all_goes_straight_to_ipmi(free_tcp_port):
    """And the given port is IPMI's, also after a restart."""
    protocols = Protocols(ipmi="ok")
    reader, facts = _auto(protocols, free_tcp_port)
    await reader.poll()
    again, _ = _auto(protocols, free_tcp_port, facts)
    await again.poll()
    assert protocols.asked == ["ipmi", "ipmi"]
    assert set(protocols.ports) == {("ipmi", free_tcp_port)}


@pytest.mark.parametrize("reason", ["timeout", "unreachable"])
async def test_a_bmc_that_answers_to_nothing_says_what_was_tried(free_tcp_port, reason):
    """The reason is that of the last one."""
    reader, facts = _auto(Protocols(ipmi=reason), free_tcp_port)
    with pytest.raises(BmcError, match=f"no TCP connection; ipmi: ipmi says {reason}") as caught:
        await reader.poll()
    assert caught.value.reason == reason
    assert remembered_protocol(facts) == ""


async def test_a_refused_log_in_by_ipmi_stays_one(free_tcp_port):
    """The lock-out guard must see it."""
    reader, _ = _auto(Protocols(ipmi="auth"), free_tcp_port)
    with pytest.raises(BmcAuthError) as caught:
        await reader.poll()
    assert caught.value.reason == "auth"


async def test_another_board_is_looked_at_anew(web):
    """When the remembered protocol is gone for ten minutes, the poll after that finds the new one."""
    protocols = Protocols(redfish="unsupported", ilo="ok")
    clock = Clock()
    reader, facts = _auto(protocols, web, {"auto": {"protocol": "redfish"}}, clock)
    for after_s in (0, FORGET_S - 1, 1):
        clock.ahead_s += after_s
        with pytest.raises(BmcError):
            await reader.poll()
    assert set(protocols.asked) == {"redfish"}
    await reader.poll()
    assert remembered_protocol(facts) == "ilo"


async def test_a_bmc_that_boots_keeps_its_protocol(web):
    """It answers 404 for a minute, time and again: nothing logs in by another protocol, which would stay."""
    protocols = Protocols(ilo="unsupported", ipmi="ok", redfish="unsupported")
    clock = Clock()
    reader, facts = _auto(protocols, web, {"auto": {"protocol": "ilo"}}, clock)
    for _ in range(5):
        protocols.behaviour["ilo"] = "unsupported"
        for _ in range(6):
            clock.ahead_s += 60
            with pytest.raises(BmcError):
                await reader.poll()
        protocols.behaviour["ilo"] = "ok"
        await reader.poll()
    assert set(protocols.asked) == {"ilo"}
    assert remembered_protocol(facts) == "ilo"


@pytest.mark.parametrize("stored", [None, 5, {"protocol": "snmp"}, {"protocol": 5}, {"protocol": []}])
async def test_facts_of_another_shape_are_ignored(web, stored):
    """A state file of another version."""
    reader, facts = _auto(Protocols(redfish="ok"), web, {"auto": stored})
    await reader.poll()
    assert remembered_protocol(facts) == "redfish"


@pytest.fixture
def free_tcp_port():
    """A port of loopback that nobody listens on."""
    from influxd import free_port

    return free_port()
