"""Which other steps ran on the servers of a step at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from energyrecorder_annotator.expected import Expected, expected_servers
from energyrecorder_annotator.lifecycle import Step


def overlap_count(step: Step, others: Sequence[Step], servers: Expected, seen: set[str]) -> int:
    """Return how many of ``others`` ran on a server of ``step``, its own ancestors and descendants apart.

    Args:
        step: The step.
        others: Steps of the same environment that ran at the same time.
        servers: Servers of the step.
        seen: Servers of the environment.
    """
    by_id = {other.step_id: other for other in others}
    ancestors = _chain(step, by_id)
    count = 0
    for other in others:
        if other.step_id in ancestors or step.step_id in _chain(other, by_id):
            continue
        if other.servers is None or set(expected_servers(other.servers, seen).servers) & set(servers.servers):
            count += 1
    return count


def _chain(step: Step, by_id: Mapping[str, Step]) -> set[str]:
    """Return the ids above ``step``, as far up as they are known."""
    above: set[str] = set()
    parent_id = step.parent_id
    while parent_id is not None and parent_id not in above:
        above.add(parent_id)
        parent = by_id.get(parent_id)
        parent_id = None if parent is None else parent.parent_id
    return above
