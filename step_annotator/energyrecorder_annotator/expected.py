"""Which servers a step runs on, and so whose readings its energy needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

LOOK_BACK_NS = 3600 * 1_000_000_000
"""A server that reported within this time before a step belongs to its environment."""

_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Expected:
    """Servers of a step.

    Args:
        servers: Ids, sorted; those named in plain are here even when they never reported.
        unmatched: Globs that no server matches.
    """

    servers: tuple[str, ...]
    unmatched: tuple[str, ...] = ()


def expected_servers(patterns: Sequence[str] | None, seen: Iterable[str]) -> Expected:
    """Return the servers that a step needs.

    Args:
        patterns: Ids or globs that the step names; None means all that were seen.
        seen: Servers that reported in the step's environment around its time.
    """
    known = set(seen)
    if patterns is None:
        return Expected(servers=tuple(sorted(known)))
    servers: set[str] = set()
    unmatched = []
    for pattern in patterns:
        if not _GLOB & set(pattern):
            servers.add(pattern)
            continue
        matching = {server for server in known if fnmatchcase(server, pattern)}
        servers |= matching
        if not matching:
            unmatched.append(pattern)
    return Expected(servers=tuple(sorted(servers)), unmatched=tuple(unmatched))
