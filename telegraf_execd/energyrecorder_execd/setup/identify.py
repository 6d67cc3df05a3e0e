"""Finds out what listens at an address, without any log-in: Redfish, iLO REST, IPMI, and the certificate."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from energyrecorder.errors import BmcError
from energyrecorder.secret import Secret
from energyrecorder_execd.fleet.hosts import Host
from energyrecorder_execd.fleet.model import Server
from energyrecorder_execd.http import BmcHttp, HttpClients
from energyrecorder_execd.http.connect import Route
from energyrecorder_execd.http.shown import certificate_of
from energyrecorder_execd.http.tls import TlsContexts, TlsPolicy
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.setup.pin import Shown, accepts, describe

ROOTS = (("redfish", "/redfish/v1/"), ("ilo", "/rest/v1"))
"""Service roots, readable without a log-in (DSP0266, section on authentication)."""

WEB_S = 10.0
IPMI_S = 2.0

# Get Channel Authentication Capabilities, outside a session (IPMI 2.0, section 22.13): RMCP header, IPMI 1.5
# session header, then the message for channel 0Eh, IPMI 2.0 data, privilege user.
_ASK_IPMI = bytes.fromhex("0600ff07 00 00000000 00000000 09 2018c8 8100 38 8e02 b7".replace(" ", ""))
_RMCP_IPMI = bytes.fromhex("0600ff07")
_IPMI_PORT, _HTTPS = 623, 443


@dataclass(frozen=True, slots=True)
class Identity:
    """What listens at one address.

    Args:
        protocol: ``redfish``, ``ilo`` or ``ipmi``; empty when none answers.
        product: As the service root says; empty when it does not.
        certificate: What it shows; None without TLS.
        trusted: Whether the certificate passes the system's authorities.
        problem: Why nothing was found.
    """

    protocol: str = ""
    product: str = ""
    certificate: Shown | None = None
    trusted: bool = False
    problem: str = ""


async def identify(host: Host) -> Identity:
    """Return what listens at ``host``."""
    found = await _web(host)
    if found.protocol or host.scheme is not None:
        return found
    port = host.port or _IPMI_PORT
    return Identity("ipmi") if await _ipmi_answers(host.address, port) else found


def nobody(host: Host, tls: str = "off") -> Server:
    """Return a server entry for `host` without an account."""
    target = Target(host.address, host.address, host.port, host.scheme or "https", "", Secret(""), tls, WEB_S)
    return Server(host.address, "default", "auto", None, "", {}, target, "the command line")


async def _web(host: Host) -> Identity:
    certificate, trusted = None, False
    server = nobody(host)
    if server.target.scheme == "https":
        contexts = TlsContexts()
        port = host.port or _HTTPS
        try:
            async with asyncio.timeout(WEB_S):
                seen, old_tls = await certificate_of(host.address, port, contexts)
                certificate = replace(describe(server, seen), old_tls=old_tls)
                context = contexts.for_policy(TlsPolicy("verify"), legacy=old_tls)
                trusted = await accepts(Route(host.address, port, context))
        except (TimeoutError, BmcError) as error:
            return Identity(problem=str(error) or f"no TLS within {WEB_S:g} s")
    found = await _root(server.target)
    return replace(found, certificate=certificate, trusted=trusted)


async def _root(target: Target) -> Identity:
    clients = HttpClients()
    # No account, no log-in: whoever listens learns nothing, so its certificate need not be trusted yet.
    target = replace(target, options={"legacy_tls": True})
    http = BmcHttp(target, clients, {}, Context(Memory(), time.time_ns))
    problem = ""
    try:
        for protocol, path in ROOTS:
            try:
                async with asyncio.timeout(WEB_S):
                    document = (await http.get(path, anonymous=True)).document
            except (TimeoutError, BmcError) as error:
                problem = str(error) or f"no answer within {WEB_S:g} s"
                continue
            if isinstance(document, dict):
                named = [document.get(key) for key in ("Vendor", "Product")]
                return Identity(protocol, " ".join(repr(one)[1:-1] for one in named if isinstance(one, str)))
    finally:
        await clients.close()
    return Identity(problem=problem)


class _Answered(asyncio.DatagramProtocol):
    """Waits for one datagram that is IPMI."""

    def __init__(self) -> None:
        self.seen = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        if data.startswith(_RMCP_IPMI):
            self.seen.set()


async def _ipmi_answers(address: str, port: int) -> bool:
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.create_datagram_endpoint(_Answered, remote_addr=(address, port))
    except OSError:
        return False
    try:
        async with asyncio.timeout(IPMI_S):
            transport.sendto(_ASK_IPMI)
            await protocol.seen.wait()
    except (TimeoutError, OSError):
        return False
    finally:
        transport.close()
    return True
