"""Reads what accompanies the totals (counters, parts, inlet temperature) without putting them at risk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError
from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.http import Answer, BmcHttp
from energyrecorder_execd.readers.base import Reading
from energyrecorder_execd.readers.redfish.components import (
    Component,
    pointed_component,
    power_components,
    resource_component,
)
from energyrecorder_execd.readers.redfish.counters import (
    COUNTER_PERIOD_S,
    counter_j,
    may_wrap_unseen,
    supplies_counter_j,
)
from energyrecorder_execd.readers.redfish.parse import parse_pointer
from energyrecorder_execd.readers.redfish.plan import PartPlan, Place, Plan, TotalPlan
from energyrecorder_execd.readers.redfish.thermal import inlet_c

EXTRAS_LIMIT_S = 2.0
"""Longest time that a poll spends on what only accompanies its totals."""

FAILED_PAUSE_S = 600.0
"""A counter that could not be read is asked for again this much later."""

INLET_PERIOD_S = 3600.0
"""The inlet temperature is asked for this often."""

_log = logging.getLogger(__name__)


class Extras:
    """Counters, parts and inlet temperature of one BMC.

    Args:
        server: For the log.
        components: Whether parts are wanted.
    """

    def __init__(self, server: str, *, components: bool) -> None:
        self._server = server
        self.components = components
        self._counter_due_ns: dict[str | None, int] = {}
        self._next_part = 0
        self._inlet_ns = 0

    async def counter(
        self,
        http: BmcHttp,
        plan: TotalPlan,
        *,
        watts: float | None,
        now_ns: int,
        fresh: Mapping[str, Answer | None],
    ) -> tuple[float | None, float | None]:
        """Return the counter of a total and where it wraps, joules; None if none is due or to be had.

        Args:
            http: The BMC.
            plan: The total.
            watts: Its power just now; None unknown.
            now_ns: Nanoseconds since the Unix epoch, UTC.
            fresh: Resources that this poll has got already.

        Raises:
            BmcAuthError: The log-in was refused.
        """
        place = plan.counter
        if not self._is_due(plan.node, now_ns) or (place is not None and may_wrap_unseen(place, watts)):
            return None, None
        self._counter_due_ns[plan.node] = now_ns + _ns(FAILED_PAUSE_S)
        if place is None:
            shown_j = _of_supplies(plan.place, fresh)
        else:
            answer = fresh.get(place.path) or await self._get(http, place.path)
            shown_j = None if answer is None else counter_j(answer.document, place)
        if shown_j is not None:
            self._counter_due_ns[plan.node] = now_ns + _ns(COUNTER_PERIOD_S)
        return shown_j, None if place is None else place.wrap_j

    async def inlet(
        self, http: BmcHttp, path: str | None, *, now_ns: int, fresh: Mapping[str, Answer | None]
    ) -> float | None:
        """Return the inlet temperature, °C, once an hour; None if it is not due or not to be had.

        Args:
            http: The BMC.
            path: Of the resource that tells it; None if there is none.
            now_ns: Nanoseconds since the Unix epoch, UTC.
            fresh: Resources that this poll has got already.

        Raises:
            BmcAuthError: The log-in was refused.
        """
        if path is None or 0 <= now_ns - self._inlet_ns < _ns(INLET_PERIOD_S):
            return None
        self._inlet_ns = now_ns
        answer = fresh.get(path) or await self._get(http, path)
        return None if answer is None else inlet_c(answer.document)

    def _is_due(self, node: str | None, now_ns: int) -> bool:
        due_ns = self._counter_due_ns.get(node, 0)
        # A clock that was set back must not silence the counter.
        return now_ns >= due_ns or due_ns - now_ns > _ns(FAILED_PAUSE_S)

    async def parts(self, http: BmcHttp, plan: Plan, answers: Mapping[str, Answer]) -> list[Reading]:
        """Return the power of the parts: from the resources of this poll, then from those of their own.

        When time is up, the next poll goes on with the parts that this one did not reach.

        Args:
            http: The BMC.
            plan: Where totals and parts stand.
            answers: The resources of this poll.

        Raises:
            BmcAuthError: The log-in was refused.
        """
        found = [reading for total in plan.totals for reading in _beside(total, answers, plan.effects)]
        turn = _from(plan.parts, self._next_part)
        try:
            async with asyncio.timeout(EXTRAS_LIMIT_S):
                for part in turn:
                    answer = answers.get(part.path) or await http.get(part.path)
                    self._next_part += 1
                    if part.pointer:
                        shown = pointed_component(answer.document, part.path, part.pointer, part.part)
                    else:
                        shown = resource_component(answer.document, part.path, part.part)
                    if shown is not None:
                        found.append(replace(_reading(shown, part.node, answer), scope=part.scope))
        except BmcAuthError:
            raise
        except (BmcError, TimeoutError) as error:
            # The one that failed is the last one next time.
            self._next_part += 1
            _log.debug("%s: not all parts were read: %r", self._server, error)
        return found

    async def _get(self, http: BmcHttp, path: str) -> Answer | None:
        try:
            async with asyncio.timeout(EXTRAS_LIMIT_S):
                return await http.get(path)
        except BmcAuthError:
            raise
        except (BmcError, TimeoutError) as error:
            _log.debug("%s: %s: not read: %r", self._server, path, error)
            return None


def _of_supplies(place: Place, fresh: Mapping[str, Answer | None]) -> float | None:
    """Return the sum of the counters beside the input of all supplies that were added up, joules."""
    if (place.form, place.source) != ("metrics", "psu_input_sum"):
        return None
    answers = [fresh.get(path) for path in place.paths]
    return supplies_counter_j([None if answer is None else answer.document for answer in answers])


def _from(parts: Sequence[PartPlan], first: int) -> list[PartPlan]:
    turn = first % len(parts) if parts else 0
    return [*parts[turn:], *parts[:turn]]


def _beside(total: TotalPlan, answers: Mapping[str, Answer], effects: quirks.Effects) -> list[Reading]:
    """Return the parts that stand in the resource of their total."""
    answer = answers.get(total.place.paths[0])
    if total.place.form == "pointer" and answer is not None:
        return _enclosure(total, answer)
    if total.place.form not in {"power", "supplies"} or answer is None:
        return []
    try:
        shown = power_components(answer.document, answer.path, effects)
    except BmcDataError:
        return []
    return [_reading(part, total.node, answer) for part in shown]


def _enclosure(total: TotalPlan, answer: Answer) -> list[Reading]:
    """Return the power of the enclosure around a node: a series of its own, never the node's."""
    for pointer, side in quirk_places.OEM_ENCLOSURES:
        try:
            watts = parse_pointer(answer.document, answer.path, pointer).watts
        except BmcDataError:
            continue
        if watts:
            reading = _reading(Component("", watts, "oem", side), total.node, answer)
            return [replace(reading, scope="enclosure", part=None)]
    return []


def _reading(component: Component, node: str | None, answer: Answer) -> Reading:
    return Reading(
        watts=component.watts,
        sampled_at_ns=answer.middle_ns,
        clock="poll",
        protocol="redfish",
        source=component.source,
        side=component.side,
        scope="component",
        part=component.part,
        node=node,
        latency_s=answer.latency_s,
    )


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
