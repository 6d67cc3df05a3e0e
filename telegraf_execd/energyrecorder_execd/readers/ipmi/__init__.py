"""The IPMI reader: power over RMCP+ by DCMI, else by the vendor's power sensors."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from energyrecorder.secret import Secret
from energyrecorder_execd.readers.base import Context, Target
from energyrecorder_execd.readers.facts import own_facts
from energyrecorder_execd.readers.ipmi import reader
from energyrecorder_execd.readers.ipmi.heard import (
    HeardTransport,
    IpmiExchange,
    IpmiListener,
    log_traffic,
    tell_progress,
)
from energyrecorder_execd.readers.ipmi.lanplus import Endpoint, LanplusTransport
from energyrecorder_execd.readers.ipmi.node_manager import NodeManagerSource
from energyrecorder_execd.readers.ipmi.pyghmi_process import PyghmiProcess, PyghmiRemote
from energyrecorder_execd.readers.ipmi.sensor_source import SensorSource
from energyrecorder_execd.readers.ipmi.sources import DcmiSource, Source
from energyrecorder_execd.readers.ipmi.survey import Sighting, Survey
from energyrecorder_execd.readers.ipmi.transport import PRIVILEGES, Bridge, Login, Transport

__all__ = ["IpmiEndpoint", "IpmiExchange", "IpmiListener", "IpmiReader", "Sighting"]

_PORT = 623
_SUITES = (17, 3)


class IpmiEndpoint:
    """What all IPMI readers of a process share: one UDP socket, and pyghmi's process if anyone wants it.

    Args:
        listener: Hears every request to every BMC; None for the usual case that nobody does.
    """

    def __init__(self, listener: IpmiListener | None = None) -> None:
        self.listener = listener
        self._lanplus = Endpoint()
        self._pyghmi = PyghmiProcess()

    def transport(self, kind: str, login: Login, facts: MutableMapping[str, Any]) -> Transport:
        """Return a transport to one BMC.

        Args:
            kind: ``lanplus`` or ``pyghmi``.
            login: Whom to log in to, and as whom.
            facts: What is remembered of this BMC.
        """
        if kind == "lanplus":
            return LanplusTransport(login, self._lanplus, facts)
        return PyghmiRemote(login, self._pyghmi)

    def close(self) -> None:
        """Close what is shared, after the readers were closed."""
        self._lanplus.close()
        self._pyghmi.close()


def _bridge(text: str | None) -> Bridge | None:
    """Return the satellite that the fleet file names: ``0x82``, ``6/0x2c``, or ``0x82:7/0x72``."""
    bridge: Bridge | None = None
    for hop in text.split(":") if text else ():
        channel, _, address = hop.rpartition("/")
        bridge = Bridge(int(address, 16), int(channel or "0"), bridge)
    return bridge


class IpmiReader(reader.IpmiReader):
    """The reader of one BMC of the fleet file.

    Args:
        target: The BMC.
        context: What is remembered of it, and the clock.
        endpoint: What all IPMI readers share.
    """

    def __init__(self, target: Target, context: Context, endpoint: IpmiEndpoint) -> None:
        facts = own_facts(context.memory, reader.PROTOCOL)
        options = target.options
        bridge = _bridge(options.get("bridge"))
        pattern = options.get("sensor")
        privilege = options.get("privilege") or "user"
        suite = options.get("cipher_suite")
        kg: Secret | None = options.get("kg")
        transport: Transport = endpoint.transport(
            options.get("transport") or "lanplus",
            Login(
                address=target.address,
                port=target.port or _PORT,
                user=target.user,
                password=target.password,
                kg=kg,
                privilege=PRIVILEGES[privilege],
                suites=_SUITES if suite is None else (suite,),
                timeout_s=target.timeout_s,
            ),
            facts,
        )
        listeners = [tell_progress(context.heard)]
        if endpoint.listener is not None:
            listeners.append(endpoint.listener)
        if options.get("debug"):
            listeners.append(log_traffic(target.server))
        transport = HeardTransport(transport, tuple(listeners))
        sources: tuple[Source, ...] = (
            DcmiSource(transport, bridge, facts, context.clock),
            SensorSource(transport, bridge, facts, context.clock, pattern),
        )
        if bridge is None:
            sources += (NodeManagerSource(transport, facts, context.clock),)
        super().__init__(
            transport,
            sources,
            facts=facts,
            settings=f"{privilege}|{bridge}|{pattern}",
            clock=context.clock,
        )
        self._survey = Survey(transport, sources, bridge, context.clock)

    async def survey(self) -> list[Sighting]:
        """Return what each source shows, also those that a poll does not ask; for ``probe`` and ``record``.

        Raises:
            BmcError: No log-in, or no answer.
        """
        await self._transport.open()
        this, _ = await self._identify()
        await self._survey.read_names()
        return await self._survey.look(this)
