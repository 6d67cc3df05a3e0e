"""Shows a fleet as it will be polled: ranges expanded, secrets masked."""

from __future__ import annotations

from collections.abc import Sequence

from energyrecorder_execd.fleet import Fleet, Server

_HEADER = ("SERVER", "ENV", "PROTOCOL", "ADDRESS", "INTERVAL", "TIMEOUT", "TLS", "CREDENTIALS", "MORE")


def fleet_table(fleet: Fleet) -> str:
    """Return the fleet as a table for people, one line per server."""
    rows = [_HEADER, *(_row(server) for server in fleet.servers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    table = [_aligned(row, widths) for row in rows]
    table.append(f"{len(fleet.servers)} servers")
    if fleet.disabled:
        table.append(f"disabled: {', '.join(fleet.disabled)}")
    return "\n".join(table)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(server: Server) -> tuple[str, ...]:
    target = server.target
    more = [f"{key}={value}" for key, value in (*server.tags.items(), *target.options.items())]
    return (
        server.id,
        server.env,
        server.protocol,
        target.place,
        "auto" if server.interval_s is None else f"{server.interval_s:g}s",
        f"{target.timeout_s:g}s",
        target.tls,
        f"{server.credentials} ({target.user}:{target.password})",
        " ".join(more),
    )
