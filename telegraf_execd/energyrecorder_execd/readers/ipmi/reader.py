"""The IPMI reader of one BMC: which source is the power in this poll, and what the host is doing."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcDataError, BmcError
from energyrecorder_execd.readers.base import Poll, Reading, ServerInfo
from energyrecorder_execd.readers.host_state import HostMemory, must_verify, verified
from energyrecorder_execd.readers.ipmi import chassis, device, vendors
from energyrecorder_execd.readers.ipmi.device import Device
from energyrecorder_execd.readers.ipmi.fru import Names
from energyrecorder_execd.readers.ipmi.inventory import read_names
from energyrecorder_execd.readers.ipmi.ladder import Ladder
from energyrecorder_execd.readers.ipmi.lenovo_energy import EnergyCounter
from energyrecorder_execd.readers.ipmi.sources import Power, Source
from energyrecorder_execd.readers.ipmi.transport import (
    NETFN_APP,
    NETFN_CHASSIS,
    CompletionCodeError,
    Transport,
    ask,
)
from energyrecorder_execd.readers.learning import Learned, Learner

PROTOCOL = "ipmi"

_FAST_S = 0.1
_POLLS_BEFORE_NAMES = 5


@dataclass(slots=True)
class _Found:
    """What one poll has found so far.

    Args:
        power: The first reading with watts, else the first without; None if no source answered.
        problems: What the sources refused with, in their order, remembered refusals included.
        host: Host state; None if it was not needed yet.
    """

    power: Power | None
    problems: list[BmcError]
    host: str | None = None


class IpmiReader:
    """Reads one BMC; keeps the contract of `energyrecorder_execd.readers.base`.

    In the steady state a poll is one request where the power is one value: DCMI, or the sensor of the total.
    The host's power state costs a second one when `energyrecorder_execd.readers.host_state` asks for it:
    at first, after 0 W or no value, after a change of source or a fall, and every five minutes.

    Args:
        transport: The way to the BMC.
        sources: Where the power may be, best first.
        facts: This protocol's part of what is remembered of the BMC.
        settings: Names the settings that decide what the sources can do; a change asks all of them anew.
        clock: Wall clock.
    """

    def __init__(
        self,
        transport: Transport,
        sources: tuple[Source, ...],
        *,
        facts: MutableMapping[str, Any],
        settings: str,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._facts = facts
        self._settings = settings
        self._clock = clock
        self._ladder = Ladder(sources, facts, clock)
        self._counter = EnergyCounter(transport, clock)
        self._learner = Learner(facts)
        self._device: Device | None = None
        self._described: Device | None = None
        self._before_names = 0
        self._known_at_log_in = 0
        self._host = HostMemory()

    @property
    def log_ins(self) -> int:
        """Successful log-ins since the start."""
        return self._transport.log_ins

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._transport.requests

    async def poll(self) -> Poll:
        """Ask the BMC once.

        Raises:
            BmcError: The poll failed as a whole: no log-in, or no answer.
        """
        before = self._transport.requests
        await self._transport.open()
        this, described = await self._identify()
        found = await self._find_power(this)
        power = found.power
        host = found.host or await self._host_state(power)
        error, message = _verdict(power, found.problems, host)
        counter_j = None if power is None else await self._counter.read(this)
        info = await self._describe(this, power, described=described)
        return Poll(
            readings=() if power is None else (self._reading(power, counter_j, usable=not error),),
            host={None: host},
            protocol=PROTOCOL,
            source="" if power is None else power.source,
            requests=self._transport.requests - before,
            error=error,
            message=message,
            info=info,
        )

    async def close(self) -> None:
        """Log out, best effort; never raises."""
        await self._transport.close()

    def _reading(self, power: Power, counter_j: float | None, *, usable: bool) -> Reading:
        """Return the reading with what was learned of its source: no IPMI source declares a period."""
        learned = Learned()
        if usable and power.watts:
            learned = self._learner.observe(
                None, power.source, watts=power.watts, at_s=power.sampled_at_ns / 1e9
            )
        steps = [step for step in (power.quantum_w, learned.quantum_w) if step is not None]
        return Reading(
            watts=power.watts if usable else None,
            sampled_at_ns=power.sampled_at_ns,
            clock="poll",
            protocol=PROTOCOL,
            source=power.source,
            side=power.side,
            refresh_s=learned.refresh_s,
            quantum_w=max(steps, default=None),
            accuracy_pct=power.accuracy_pct,
            avg_w=power.avg_w if usable else None,
            min_w=power.min_w if usable else None,
            max_w=power.max_w if usable else None,
            energy_counter_j=counter_j,
            latency_s=power.latency_s,
        )

    async def _identify(self) -> tuple[Device, bool]:
        """Learn which BMC this is, once for each log-in: it may have been replaced or updated meanwhile.

        Returns:
            The BMC, and whether it was described before.
        """
        known = self._device
        if known is not None and self._known_at_log_in == self._transport.log_ins:
            return known, self._described == known
        answer = await ask(self._transport, NETFN_APP, device.GET_DEVICE_ID)
        found = device.parse(answer.data)
        self._device, self._known_at_log_in = found, self._transport.log_ins
        self._ladder.identify(f"{found.key()}|{self._settings}")
        return found, self._described == found

    async def _describe(self, this: Device, power: Power | None, *, described: bool) -> ServerInfo | None:
        """Return what the server is, if this poll brought something new.

        The names in its inventory cost some requests, once in the life of a firmware: they are asked for in
        a later poll than the first, which has enough to ask, and only where answers are fast.
        """
        if described and not self._before_names:
            return None
        names = _remembered_names(self._facts.get("fru"), this)
        if not described:
            self._described = this
            self._before_names = _POLLS_BEFORE_NAMES if names is None else 0
        elif power is None or power.latency_s > _FAST_S:
            return None
        else:
            self._before_names -= 1
            if self._before_names:
                return None
            try:
                names = await read_names(self._transport)
            except BmcError:
                return None  # asked again after a restart
            self._facts["fru"] = {"key": this.key(), "maker": names.maker, "model": names.model}
        names = names or Names(None, None)
        vendor = vendors.vendor_name(this.manufacturer) or names.maker
        return ServerInfo(vendor=vendor, model=names.model, bmc_fw=this.firmware)

    async def _find_power(self, this: Device) -> _Found:
        """Ask the sources in their order until one has a value that may be believed."""
        found = _Found(power=None, problems=self._ladder.known_problems())
        for source in self._ladder.order():
            try:
                power = await source.read(this)
            except (CompletionCodeError, BmcDataError) as error:
                found.problems.append(error)
                if self._ladder.refused(source, error):
                    continue
                break
            found.power = found.power or power
            if power.watts is not None and power.watts > 0:
                found.power = power
                self._ladder.worked(source)
                break
            # 0 W or nothing: a host that is off explains it, a running one sends us to the next source.
            found.host = found.host or await self._host_state(power)
            if found.host == "off":
                break
        return found

    async def _host_state(self, power: Power | None) -> str:
        watts = None if power is None else power.watts
        source = "" if power is None else power.source
        now_ns = self._clock()
        if not must_verify(self._host, watts=watts, source=source, now_ns=now_ns):
            return self._host.state
        state: str | None = None
        try:
            answer = await ask(self._transport, NETFN_CHASSIS, chassis.GET_CHASSIS_STATUS)
            state = chassis.host_state(answer.data)
        except CompletionCodeError:
            pass  # a BMC of a blade or card may have no chassis to tell of
        self._host = verified(self._host, state, watts=watts, source=source, now_ns=now_ns)
        return self._host.state


def _remembered_names(known: object, this: Device) -> Names | None:
    match known:
        case {"key": str(key), "maker": str() | None as maker, "model": str() | None as model} if (
            key == this.key()
        ):
            return Names(maker, model)
    return None


def _verdict(power: Power | None, problems: list[BmcError], host: str) -> tuple[str, str]:
    """Return error and message; both empty if the reading may be written."""
    if power is None:
        told = [problem for problem in problems if problem.reason != "unsupported"] or problems
        return told[0].reason, "; ".join(str(problem) for problem in problems)
    if power.watts is None:
        return "no_reading", power.why
    if power.watts <= 0 and host != "off":
        return "no_reading", f"IPMI {power.source}: 0 W while the host is {host}"
    return "", ""
