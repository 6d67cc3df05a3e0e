"""Turn what a poll found into lines of ``server_power``, ``server_bmc`` and ``server_info``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from energyrecorder import schema
from energyrecorder.line_protocol import FieldValue
from energyrecorder_execd.readers.base import Poll, Reading, ServerInfo

_POWER = schema.measurement(schema.SERVER_POWER)
_BMC = schema.measurement(schema.SERVER_BMC)
_INFO = schema.measurement(schema.SERVER_INFO)
_NOT_ID = re.compile(r"[^A-Za-z0-9._:-]+")
_MAX_NODE = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose lines these are.

    Args:
        server: Server id of the fleet file.
        env: Environment it belongs to.
        tags: Static tags.
        nodes: Nodes that this BMC was seen to have; empty where it has one computer.
    """

    server: str
    env: str
    tags: Mapping[str, str]
    nodes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one poll of one BMC ended, well or not.

    Args:
        at_ns: Middle of the poll, nanoseconds since the Unix epoch, UTC.
        scrape_s: Duration of the poll; 0 when nothing was asked.
        poll: What it found; None when it failed as a whole or was not begun.
        error: Empty if every total has ``watts``, else one of `schema.ERRORS`.
        message: One line for the log; with ``error`` empty: what failed that another source stood in for.
        protocol: Protocol that was tried; empty if unknown.
        lines: The lines of its readings, and of what is known of the server when that is due.
        requests: Sent in a poll that failed as a whole; any other knows its own.
    """

    at_ns: int
    scrape_s: float
    poll: Poll | None
    error: str
    message: str = ""
    protocol: str = ""
    lines: tuple[str, ...] = ()
    requests: int = 0


def node_name(node: str) -> str:
    """Return a node's name as it may stand in a server id."""
    return _NOT_ID.sub("-", node)[:_MAX_NODE] or "-"


def power_lines(origin: Origin, poll: Poll) -> list[str]:
    """Return one line per reading that has something to say."""
    return [line for reading in poll.readings if (line := _power(origin, reading)) is not None]


def bmc_lines(origin: Origin, outcome: Outcome, late_ticks: int) -> list[str]:
    """Return the ``server_bmc`` of a poll: one line, or one per node."""
    states = {} if outcome.poll is None else outcome.poll.host
    # Nodes are remembered under the names they are written by.
    host = {None if node is None else node_name(node): state for node, state in states.items()}
    nodes: Sequence[str | None] = origin.nodes or [None]
    return [_bmc(origin, outcome, node, _host_state(host, node), late_ticks) for node in nodes]


def info_line(origin: Origin, info: ServerInfo, bmc_url: str | None, at_ns: int) -> str | None:
    """Return the ``server_info`` line, or None when nothing is known."""
    return _INFO.line(_tags(origin, None), {**asdict(info), "bmc_url": bmc_url}, at_ns)


def _tags(origin: Origin, node: str | None) -> dict[str, str | None]:
    server = origin.server if node is None else f"{origin.server}/{node_name(node)}"
    return {"env": origin.env, "server": server, **origin.tags}


def _power(origin: Origin, reading: Reading) -> str | None:
    if reading.watts is None and reading.energy_counter_j is None:
        return None
    fields: dict[str, FieldValue | None] = {
        "watts": reading.watts,
        "avg_w": reading.avg_w,
        "min_w": reading.min_w,
        "max_w": reading.max_w,
        "window_s": reading.window_s,
        "refresh_s": reading.refresh_s,
        "quantum_w": reading.quantum_w,
        "accuracy_pct": reading.accuracy_pct,
        "clock": reading.clock,
        "energy_counter_j": reading.energy_counter_j,
        "energy_wrap_j": reading.energy_wrap_j,
        "latency_ms": _ms(reading.latency_s),
        "backfill": int(reading.backfill),
        "protocol": reading.protocol,
        "source": reading.source,
        "side": reading.side,
    }
    tags = {**_tags(origin, reading.node), "scope": reading.scope, "part": reading.part}
    return _POWER.line(tags, fields, reading.sampled_at_ns)


def _bmc(origin: Origin, outcome: Outcome, node: str | None, host: str, late_ticks: int) -> str:
    poll = outcome.poll
    fields: dict[str, FieldValue | None] = {
        "up": int(not outcome.error),
        "host": host,
        "scrape_ms": _ms(outcome.scrape_s),
        "requests": outcome.requests if poll is None else poll.requests,
        "late_ticks": late_ticks,
        "error": outcome.error,
        "protocol": outcome.protocol if poll is None else poll.protocol,
        "source": "" if poll is None else poll.source,
    }
    line = _BMC.line(_tags(origin, node), fields, outcome.at_ns)
    if line is None:
        raise AssertionError("server_bmc always has fields")
    return line


def _host_state(host: Mapping[str | None, str], node: str | None) -> str:
    return host.get(node, "unknown") if node is None else host.get(node, host.get(None, "unknown"))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
