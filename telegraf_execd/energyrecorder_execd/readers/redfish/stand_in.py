"""Finds, during a walk, what may stand in for a total in a poll in which its own place is silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder_execd import quirks
from energyrecorder_execd.readers.redfish.plan import Place
from energyrecorder_execd.readers.redfish.rungs import RUNGS, found_at
from energyrecorder_execd.readers.redfish.select import Found
from energyrecorder_execd.readers.redfish.walk import Walk

AGREES = 1.25
"""Two views of one computer's power, seconds apart, differ by no greater factor: losses of the supplies (a
tenth), windows, rounding. One of two supplies (90 of an HPE's 221 W), those of an enclosure (755 W around a
Supermicro's 176) and a tray of GPUs (825 of a DGX's 1950) differ by more."""


SAME_TIME_S = 30.0
"""Values read further apart, as a renewal over many polls reads them, tell nothing of one another: 90 W of a
part look like the 100 W that the whole drew before the host began to work."""

STAND_IN_LIMIT_S = 3.0
"""Longest time that a walk spends on looking for them, and a poll on reading one: neither the plan nor the
other totals of a poll may hang on a resource that only stands in."""

_log = logging.getLogger(__name__)


async def find_stand_ins(
    walk: Walk, found: Found, effects: quirks.Effects, *, views: Sequence[Place] = ()
) -> tuple[Place, ...]:
    """Return the other places of a total, best first, up to the first that needs none of its resources.

    They are looked for at the same chassis, on all rungs, and have to agree with the total as it is now: what
    shows only a part of its power, or more than that, stands in for nothing.

    Args:
        walk: The BMC.
        found: The total.
        effects: What the quirk table says of this BMC, and what its figures told of its supplies.
        views: The total's places as an earlier walk saw them, its own one among them: they count for what was
            not read within `SAME_TIME_S` of the total, and while it holds no value.

    Raises:
        BmcAuthError: The log-in was refused.
        WalkPausedError: The walk's requests are used up.
    """
    if not found.candidate.watts:
        return tuple(place for place in views if place != found.place)
    places: list[Place] = []
    try:
        async with asyncio.timeout(STAND_IN_LIMIT_S):
            await _collect(places, walk, found, effects, views=views)
    except BmcAuthError:
        raise
    except (BmcError, TimeoutError) as error:
        _log.debug("%s: looking for what may stand in for it: %r", found.place.paths[0], error)
    return tuple(places)


async def _collect(
    places: list[Place], walk: Walk, found: Found, effects: quirks.Effects, *, views: Sequence[Place]
) -> None:
    shared = effects.supplies_are_shared
    for rung in RUNGS:
        for other in await found_at(rung, walk, found.chassis, effects, shared=shared):
            if other.place == found.place:
                continue
            together = abs(_read_ns(walk, found) - _read_ns(walk, other)) <= SAME_TIME_S * 1e9
            if not (_agree(found, other) if together else other.place in views):
                continue
            places.append(other.place)
            if not set(other.place.paths) & set(found.place.paths):
                return


def _read_ns(walk: Walk, found: Found) -> int:
    answer = walk.answers[found.place.paths[0]]
    return 0 if answer is None else answer.middle_ns


def _agree(found: Found, other: Found) -> bool:
    mine, its = found.candidate.watts, other.candidate.watts
    if not mine or not its or found.candidate.shared != other.candidate.shared:
        return False
    return max(mine, its) <= AGREES * min(mine, its)
