"""Finds, during a walk, what may stand in for a total in a poll in which its own place is silent."""

from __future__ import annotations

from energyrecorder_execd import quirks
from energyrecorder_execd.readers.redfish.plan import Place
from energyrecorder_execd.readers.redfish.rungs import RUNGS, found_at
from energyrecorder_execd.readers.redfish.select import Found
from energyrecorder_execd.readers.redfish.walk import Walk

AGREES = 1.25
"""Two views of one computer's power, seconds apart, differ by no greater factor: losses of the supplies (a
tenth), windows, rounding. One of two supplies (90 of an HPE's 221 W), those of an enclosure (755 W around a
Supermicro's 176) and a tray of GPUs (825 of a DGX's 1950) differ by more."""


async def find_stand_ins(
    walk: Walk, found: Found, effects: quirks.Effects, *, shared: bool
) -> tuple[Place, ...]:
    """Return the other places of a total, best first, up to the first that needs none of its resources.

    They are looked for at the same chassis, on all rungs, and have to agree with the total as it is now: what
    shows only a part of its power, or more than that, stands in for nothing.

    Args:
        walk: The BMC.
        found: The total.
        effects: What the quirk table says of this BMC.
        shared: The supplies feed more than this BMC's computer.
    """
    places: list[Place] = []
    if not found.candidate.watts:
        return ()
    for rung in RUNGS:
        for other in await found_at(rung, walk, found.chassis, effects, shared=shared):
            if other.place == found.place or not _agree(found, other):
                continue
            places.append(other.place)
            if not set(other.place.paths) & set(found.place.paths):
                return tuple(places)
    return tuple(places)


def _agree(found: Found, other: Found) -> bool:
    mine, its = found.candidate.watts, other.candidate.watts
    if not mine or not its or found.candidate.shared != other.candidate.shared:
        return False
    return max(mine, its) <= AGREES * min(mine, its)
