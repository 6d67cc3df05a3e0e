"""The values that a fleet file is read into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from energyrecorder.errors import ConfigError
from energyrecorder_execd.readers.base import Target

STANDARD_PORTS = frozenset({80, 443, 623})


@dataclass(frozen=True, slots=True)
class SourceTiming:
    """How a source averages, as the fleet file declares it; `energy-annotator calibrate` finds it out.

    Args:
        source: Name of the source; readings of others are not touched.
        window_s: Averaging window; None leaves it as it is.
        refresh_s: Period at which the BMC renews the value; likewise.
    """

    source: str
    window_s: float | None = None
    refresh_s: float | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """One BMC of the fleet and how it is polled.

    Args:
        id: Server id; unique in the fleet.
        env: Environment (pod, lab) it belongs to.
        protocol: ``auto``, ``redfish``, ``ilo`` or ``ipmi``.
        interval_s: Seconds between polls; None means ``auto``.
        credentials: Name of its ``[credentials.…]`` table.
        tags: Static tags, a subset of `energyrecorder.schema.STATIC_TAGS`.
        target: What a reader needs.
        where: File and table it came from, for messages.
        timing: Of the source of its power; None: as the BMC declares it, or as it is learned.
    """

    id: str
    env: str
    protocol: str
    interval_s: float | None
    credentials: str
    tags: Mapping[str, str]
    target: Target
    where: str
    timing: SourceTiming | None = None

    @property
    def bmc(self) -> str:
        """The BMC's address, the same for all protocols on their standard ports.

        A port of its own is part of it: behind a gateway each port is another BMC.
        """
        port = self.target.port
        address = self.target.address.lower()
        return address if port is None or port in STANDARD_PORTS else f"{address}:{port}"

    def shard(self, count: int) -> int:
        """Return which of ``count`` shards (1..count) polls this server; the same on every machine."""
        digest = hashlib.blake2b(self.id.encode(), digest_size=8, person=b"shard").digest()
        return int.from_bytes(digest, "big") % count + 1


@dataclass(frozen=True, slots=True)
class Fleet:
    """A whole fleet file.

    Args:
        servers: Enabled servers, in the order of the file.
        disabled: Ids of the servers with ``enabled = false``.
        files: Every file and folder that was read, secrets included; a change of one may change the fleet.
        warnings: Lines worth a warning, such as a literal password.
    """

    servers: tuple[Server, ...]
    disabled: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def of_protocol(self, protocol: str) -> tuple[Fleet, tuple[str, ...]]:
        """Return the servers of one protocol, and the ids of the ``auto`` servers left out for it."""
        kept = tuple(server for server in self.servers if server.protocol == protocol)
        skipped = tuple(server.id for server in self.servers if server.protocol == "auto")
        return replace(self, servers=kept), skipped

    def of_shard(self, index: int, count: int) -> Fleet:
        """Return the part of the fleet that shard ``index`` of ``count`` polls."""
        return replace(self, servers=tuple(server for server in self.servers if server.shard(count) == index))

    def only(self, ids: Sequence[str]) -> Fleet:
        """Return the servers named by ``ids``.

        Raises:
            ConfigError: One of them is not an enabled server of the fleet.
        """
        known = {server.id: server for server in self.servers}
        for wanted in ids:
            if wanted in self.disabled:
                raise ConfigError(f"server {wanted!r} is disabled in the fleet file (enabled = false)")
            if wanted not in known:
                raise ConfigError(f"no server {wanted!r} in the fleet file; see: energy-execd check")
        return replace(self, servers=tuple(known[wanted] for wanted in dict.fromkeys(ids)))
