"""Finds, during a walk, what accompanies the totals: energy counters, parts, supplies and their limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.readers.json_values import Json, link
from energyrecorder_execd.readers.redfish.components import MAX_PARTS, environment_part, pointed_component
from energyrecorder_execd.readers.redfish.counters import (
    CounterPlace,
    energy_sibling,
    environment_counter,
    linked_resources,
    oem_counter,
    oem_counter_links,
    sensor_counter,
)
from energyrecorder_execd.readers.redfish.parse import Extras, parse_extras
from energyrecorder_execd.readers.redfish.plan import PartPlan
from energyrecorder_execd.readers.redfish.power_supplies import bays
from energyrecorder_execd.readers.redfish.resources import Chassis, is_absent, same_key
from energyrecorder_execd.readers.redfish.select import Chosen, Found
from energyrecorder_execd.readers.redfish.walk import Walk
from energyrecorder_execd.readers.supplies import capacity_w


async def find_counter(
    walk: Walk, found: Found, *, manager: Any, housing: Sequence[Chassis]
) -> CounterPlace | None:
    """Return the energy counter of a total; None if there is none, or it is the sum of those of supplies.

    The counter has to count what the total shows: the sensor beside the total's sensor, the environment of
    the same chassis, or the vendor's counter of a BMC that has one computer. Of several in one resource it
    stays the same one.

    Args:
        walk: The BMC.
        found: The total.
        manager: The resource of the BMC itself; None if there is none.
        housing: All chassis that are no components.
    """
    place = found.place
    if place.form in {"pointer", "member", "metrics"}:
        return None
    path = found.chassis.environment
    if place.form == "sensor" and place.source != "environment_metrics":
        listed = await walk.members(found.chassis.sensors)
        sibling = energy_sibling(place.paths[0], listed.paths)
        return None if sibling is None else sensor_counter(await walk.get(sibling), sibling)
    if path is not None:
        counter = environment_counter(await walk.get(path), path)
        if counter is not None:
            return counter
    if found.chassis.is_enclosure or len([c for c in housing if c.power is not None]) > 1:
        return None
    for path, row in oem_counter_links(manager):
        counter = oem_counter(await walk.get(path), path, row)
        if counter is not None:
            return counter
    return None


async def find_parts(
    walk: Walk, chassis: Sequence[Chassis], chosen: Sequence[Chosen], *, manager: Any, shared: bool
) -> tuple[PartPlan, ...]:
    """Return the parts whose power stands in a resource of their own, each name once.

    Of a BMC with several nodes nobody says whose part it is: none then. A chassis that shows a total is not
    a part of it.

    Args:
        walk: The BMC.
        chassis: All chassis of the BMC.
        chosen: Its totals.
        manager: The resource of the BMC itself; None if there is none.
        shared: The supplies feed several computers, so they are parts of none.
    """
    if len(chosen) != 1 or chosen[0].node is not None:
        return ()
    taken = same_key(chosen[0].found.chassis.path)
    found: dict[str, PartPlan] = {}
    for item in chassis:
        part = environment_part(item)
        if part is not None and item.environment is not None and same_key(item.path) != taken:
            found.setdefault(part, PartPlan(None, part, item.environment))
    if not shared:
        found |= await _supply_parts(walk, chosen[0].found.chassis)
    for row in quirk_places.OEM_PARTS:
        for path in linked_resources(manager, row.links, row.resource) if row.links else ():
            if pointed_component(await walk.get(path), path, row.pointer, row.part) is not None:
                found.setdefault(row.part, PartPlan(None, row.part, path, row.pointer, row.scope))
    return tuple(found.values())[:MAX_PARTS]


async def _supply_parts(walk: Walk, chassis: Chassis) -> dict[str, PartPlan]:
    """Return the supplies with metrics of their own; none where the Power resource shows supplies."""
    power = await walk.get(chassis.power)
    if isinstance(power, dict) and bays(power):
        return {}
    supplies = await present_supplies(walk, await walk.get(chassis.power_subsystem))
    linked = [(f"psu{place}", link(supply, "Metrics")) for place, supply in supplies]
    return {part: PartPlan(None, part, metrics) for part, metrics in linked if metrics is not None}


async def present_supplies(walk: Walk, subsystem: Any) -> list[tuple[int, Json]]:
    """Return the supplies of a PowerSubsystem that are there, with their place in the list from 1."""
    if not isinstance(subsystem, dict):
        return []
    supplies = [await walk.get(path) for path in (await walk.members(link(subsystem, "PowerSupplies"))).paths]
    placed = enumerate(supplies, start=1)
    return [(place, one) for place, one in placed if isinstance(one, dict) and not is_absent(one)]


def owns_supplies(chosen: Sequence[Chosen], effects: quirks.Effects) -> bool:
    """Whether the supplies beside a total feed this computer alone: nothing around it has any."""
    if len(chosen) != 1 or effects.supplies_are_shared:
        return False
    (one,) = chosen
    return one.node is None and one.scope == "server" and not one.found.chassis.contained_by


async def supply_facts(walk: Walk, chassis: Chassis, *, own: bool) -> Extras:
    """Return power cap, number and rating of the supplies of a chassis.

    Args:
        walk: The BMC.
        chassis: Where the total was found.
        own: See `owns_supplies`; without it the rating says nothing of this computer.
    """
    power, environment = await walk.get(chassis.power), await walk.get(chassis.environment)
    told, newer = parse_extras(power), parse_extras(environment)
    count, rated_w = told.psu_count, told.psu_capacity_w
    if count is None and not chassis.is_fed:
        supplies = [one for _, one in await present_supplies(walk, await walk.get(chassis.power_subsystem))]
        count, rated_w = len(supplies) or None, capacity_w(supplies)
    return Extras(told.cap_w or newer.cap_w, count, rated_w if own else None)
