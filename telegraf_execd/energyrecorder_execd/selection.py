"""Which part of the fleet file one ``run`` polls, and when that file changed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from energyrecorder_execd.fleet import Fleet, load_fleet

logger = logging.getLogger(__name__)

Stamps = tuple[tuple[Path, int, int], ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """A fleet file and the part of it that is wanted.

    Args:
        path: The fleet file.
        protocol: Only servers of this protocol; None means all.
        shard: (I, N) with 1 ≤ I ≤ N; None means all.
        servers: Only these; empty means all.
        interval_s: Seconds between polls whatever the file says; None: as it says.
    """

    path: Path
    protocol: str | None = None
    shard: tuple[int, int] | None = None
    servers: tuple[str, ...] = ()
    interval_s: float | None = None

    def load(self) -> Fleet:
        """Return the selected servers, and log what is worth a warning.

        Raises:
            ConfigError: The file is not allowed.
        """
        fleet = load_fleet(self.path)
        for warning in fleet.warnings:
            logger.warning("%s", warning)
        if self.servers:
            fleet = fleet.only(self.servers)
        if self.shard is not None:
            fleet = fleet.of_shard(*self.shard)
        if self.protocol is not None:
            fleet, skipped = fleet.of_protocol(self.protocol)
            if skipped:
                logger.warning(
                    '--protocol %s: %d servers with protocol "auto" are skipped: %s',
                    self.protocol,
                    len(skipped),
                    ", ".join(skipped),
                )
        if self.interval_s is not None:
            hurried = tuple(replace(server, interval_s=self.interval_s) for server in fleet.servers)
            fleet = replace(fleet, servers=hurried)
        return fleet


def stamps(fleet: Fleet) -> Stamps:
    """Return what changes when a file of the fleet does."""
    found = []
    for path in fleet.files:
        try:
            status = path.stat()
        except OSError:
            found.append((path, 0, 0))
        else:
            found.append((path, status.st_mtime_ns, status.st_ino))
    return tuple(found)
