"""The running fleet: builds each BMC of the spec, starts them all, and knows where they listen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from energyrecorder.errors import ConfigError
from energyrecorder_bmcsim.certificates import Authority, ServerCertificate
from energyrecorder_bmcsim.faults import FaultPlan
from energyrecorder_bmcsim.ilo.meter import GENERATIONS
from energyrecorder_bmcsim.live import LiveBmc
from energyrecorder_bmcsim.power import PowerTimeline
from energyrecorder_bmcsim.redfish.bmc import HttpBmc, HttpSettings
from energyrecorder_bmcsim.redfish.history import HISTORIES
from energyrecorder_bmcsim.redfish.resources import Renderable, Resources, live_resources
from energyrecorder_bmcsim.redfish.ring import ring_resources
from energyrecorder_bmcsim.redfish.sessions import SessionTable
from energyrecorder_bmcsim.sensor import Sensor
from energyrecorder_bmcsim.spec import BmcSpec, FleetSpec

_LONGEST_RING_PERIOD_S = 3600


class Server(Protocol):
    """The protocol side of a BMC."""

    async def close(self) -> None:
        """Close the port and all connections."""

    def stats(self) -> dict[str, int]:
        """Return what was counted since the start."""

    def add_fault(self, raw: Mapping[str, Any], *, where: str, now_ns: int) -> tuple[int, int]:
        """Let something go wrong; return its start and end, nanoseconds since the Unix epoch, UTC.

        Args:
            raw: ``kind``, ``for_s`` (real seconds) and the kind's own keys.
            where: What to name in a message.
            now_ns: When it begins, unless ``at_s`` (real seconds) says later.

        Raises:
            ConfigError: Something in it is not allowed.
        """


@dataclass(frozen=True, slots=True)
class RunningBmc:
    """One BMC that listens.

    Args:
        spec: What it was built from.
        server: Its protocol side.
        live: Its live side; None where values stay as captured.
        port: Where it listens on 127.0.0.1.
        url: Its base URL; None for IPMI.
        certificate_sha256: Fingerprint of its certificate, hexadecimal; None without TLS.
    """

    spec: BmcSpec
    server: Server
    live: LiveBmc | None
    port: int
    url: str | None
    certificate_sha256: str | None

    def as_json(self) -> dict[str, Any]:
        """Return what ``serve --json`` prints of it."""
        return {
            "id": self.spec.bmc_id,
            "protocol": self.spec.protocol,
            "address": "127.0.0.1",
            "port": self.port,
            "url": self.url,
            "certificate_sha256": self.certificate_sha256,
        }


class Fleet:
    """All BMCs of a spec file.

    Args:
        spec: The checked spec file.
        directory: Folder for the CA and keys; the caller removes it.
    """

    def __init__(self, spec: FleetSpec, directory: Path) -> None:
        self.spec = spec
        self._authority = Authority(directory)
        self.bmcs: dict[str, RunningBmc] = {}

    @property
    def ca_file(self) -> Path:
        """PEM of the CA that signed the certificates."""
        return self._authority.ca_file

    async def start(self) -> None:
        """Start every BMC.

        Raises:
            ConfigError: A port is taken.
        """
        for bmc in self.spec.bmcs:
            try:
                self.bmcs[bmc.bmc_id] = await self._start(bmc)
            except OSError as error:
                raise ConfigError(
                    f"{bmc.where}: key 'port' is {bmc.port}, which cannot be bound ({error.strerror}); "
                    "allowed: a free port, or 0 for any"
                ) from None

    async def close(self) -> None:
        """Stop every BMC."""
        await asyncio.gather(*(bmc.server.close() for bmc in self.bmcs.values()))

    async def _start(self, bmc: BmcSpec) -> RunningBmc:
        faults = FaultPlan(bmc.faults)
        live = self._live(bmc, faults)
        if bmc.protocol == "ipmi":
            from energyrecorder_bmcsim.ipmi_bmc import IpmiServer  # only fleets with IPMI need it

            ipmi = IpmiServer(bmc, live, self.spec)
            return RunningBmc(bmc, ipmi, live, await ipmi.start(), None, None)
        certificate = None
        if bmc.http["scheme"] == "https":
            certificate = self._authority.issue(
                bmc.bmc_id, bmc.http["certificate"], old_tls=bmc.http["old_tls"]
            )
        server = self._http_bmc(bmc, faults, live, certificate)
        port = await server.start()
        url = f"{bmc.http['scheme']}://127.0.0.1:{port}"
        return RunningBmc(bmc, server, live, port, url, certificate.sha256 if certificate else None)

    def _live(self, bmc: BmcSpec, faults: FaultPlan) -> LiveBmc | None:
        if bmc.power is None:
            return None
        start_ns = self.spec.start_ns
        timeline = PowerTimeline(bmc.power, start_ns=start_ns, speed=self.spec.speed)
        for off_time in bmc.reboots:
            timeline.switch_off(off_time)
        drawn = random.Random(f"{self.spec.seed}/{bmc.bmc_id}")  # noqa: S311  # repeatable, not secret
        phase_s = drawn.uniform(0.0, bmc.sensor.refresh_s)
        sensor = Sensor(bmc.sensor, timeline, start_ns=start_ns, phase_s=phase_s)
        return LiveBmc(
            timeline, sensor, faults, start_ns=start_ns, ring_phase_s=drawn.randrange(_LONGEST_RING_PERIOD_S)
        )

    def _http_bmc(
        self, bmc: BmcSpec, faults: FaultPlan, live: LiveBmc | None, certificate: ServerCertificate | None
    ) -> HttpBmc:
        if bmc.payload is None:
            raise AssertionError(bmc.where)  # the spec reader gives every HTTP BMC one
        renderables: dict[str, Renderable] = {}
        if live is not None:
            generation = GENERATIONS.get(bmc.protocol)
            rings = HISTORIES if generation is None else generation.rings
            renderables = live_resources(bmc.payload, bmc.live, live) | ring_resources(
                bmc.payload, rings, live
            )
        settings = HttpSettings(
            bmc.port,
            None if certificate is None else certificate.context,
            bmc.http["auth"],
            bmc.sensor.latency_s,
            self.spec.base,
        )
        sessions = SessionTable(
            bmc.user,
            bmc.password,
            limit=bmc.http["session_limit"],
            expiry_s=bmc.http["session_expiry"],
        )
        return HttpBmc(settings, Resources(bmc.payload, renderables), sessions, faults, live)
