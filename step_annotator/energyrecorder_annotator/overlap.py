"""Which other steps ran on the servers of a step at the same time, and which share of the energy is its."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from energyrecorder_annotator.expected import Expected, expected_servers
from energyrecorder_annotator.lifecycle import Step


@dataclass(frozen=True, slots=True)
class Rival:
    """Another step on some of the same servers.

    Args:
        start_ns: Its start, ns since the Unix epoch.
        end_ns: Its end; None while it runs.
        servers: Servers of the step that it ran on too.
        within_another: Whether it is part of another rival, so that both are one user of the server.
    """

    start_ns: int
    end_ns: int | None
    servers: frozenset[str]
    within_another: bool


def rivals_of(step: Step, others: Sequence[Step], servers: Expected, seen: set[str]) -> list[Rival]:
    """Return those of ``others`` that ran on a server of ``step``, its own ancestors and descendants apart.

    Args:
        step: The step.
        others: Steps of the same environment that ran at the same time.
        servers: Servers of the step.
        seen: Servers of the environment.
    """
    by_id = {other.step_id: other for other in others}
    ancestors = _chain(step, by_id)
    found: dict[str, tuple[Step, frozenset[str]]] = {}
    for other in others:
        if other.step_id in ancestors or step.step_id in _chain(other, by_id):
            continue
        theirs = servers.servers if other.servers is None else expected_servers(other.servers, seen).servers
        # One without servers named may run on any, be they known or not.
        common = frozenset(theirs) & frozenset(servers.servers)
        if common or other.servers is None:
            found[other.step_id] = (other, common)
    return [
        Rival(other.start_ns, other.end_ns, common, bool(_chain(other, by_id) & found.keys()))
        for other, common in found.values()
    ]


def share_j(
    energy_j: Callable[[int, int], float], server: str, span_ns: tuple[int, int], rivals: Sequence[Rival]
) -> float:
    """Return a step's share of a server's energy: at each moment an equal part for each of its users.

    Args:
        energy_j: Energy of the server between two moments, ns since the Unix epoch.
        server: The server.
        span_ns: Start and end of the step.
        rivals: Who else ran.
    """
    start_ns, end_ns = span_ns
    users = [
        (max(start_ns, rival.start_ns), end_ns if rival.end_ns is None else min(end_ns, rival.end_ns))
        for rival in rivals
        if server in rival.servers and not rival.within_another
    ]
    edges = sorted({start_ns, end_ns, *(edge for user in users for edge in user if start_ns < edge < end_ns)})
    total_j = 0.0
    for from_ns, to_ns in pairwise(edges):
        meanwhile = sum(began <= from_ns and to_ns <= ended for began, ended in users)
        total_j += energy_j(from_ns, to_ns) / (1 + meanwhile)
    return total_j


def _chain(step: Step, by_id: Mapping[str, Step]) -> set[str]:
    """Return the ids above ``step``, as far up as they are known."""
    above: set[str] = set()
    parent_id = step.parent_id
    while parent_id is not None and parent_id not in above:
        above.add(parent_id)
        parent = by_id.get(parent_id)
        parent_id = None if parent is None else parent.parent_id
    return above
