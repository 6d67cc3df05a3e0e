"""Finds, once, where a BMC keeps the power of its computers: goes down the rungs of `select`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder.errors import BmcDataError, BmcError
from energyrecorder_execd import quirks
from energyrecorder_execd.readers.base import ServerInfo
from energyrecorder_execd.readers.json_values import Json, link, sub_object, text
from energyrecorder_execd.readers.redfish.accompany import (
    find_counter,
    find_parts,
    owns_supplies,
    supply_facts,
)
from energyrecorder_execd.readers.redfish.definition import Declared, completed, find_declared
from energyrecorder_execd.readers.redfish.parse import Candidate, Extras
from energyrecorder_execd.readers.redfish.plan import PartPlan, Plan, TotalPlan
from energyrecorder_execd.readers.redfish.power_supplies import parse_supplies
from energyrecorder_execd.readers.redfish.resources import (
    Chassis,
    System,
    parse_chassis,
    parse_firmware,
    parse_system,
    same_key,
)
from energyrecorder_execd.readers.redfish.rungs import RUNGS, found_at
from energyrecorder_execd.readers.redfish.select import (
    Chosen,
    Found,
    choose,
    computers,
    nodes_of,
    supply_total,
    tiers,
)
from energyrecorder_execd.readers.redfish.stand_in import find_stand_ins
from energyrecorder_execd.readers.redfish.thermal import find_inlet
from energyrecorder_execd.readers.redfish.walk import Walk

ROOT = "/redfish/v1/"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a BMC manages.

    Args:
        systems: In its order.
        chassis: In its order.
        manager: The resource of the BMC itself; None if there is none.
        firmware: Of the BMC; None unknown.
        effects: What the quirk table says of it.
        is_named: A computer tells its model, without which the table says little.
        telemetry: Path of its telemetry service; None if there is none.
    """

    systems: tuple[System, ...]
    chassis: tuple[Chassis, ...]
    manager: Any
    firmware: str | None
    effects: quirks.Effects
    is_named: bool
    telemetry: str | None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a walk found.

    Args:
        plan: Where the totals are read from now on.
        valid: Whether at least one of them holds a value now.
        info: What is known of the server.
    """

    plan: Plan
    valid: bool
    info: ServerInfo


async def discover(
    walk: Walk,
    *,
    known_nodes: Sequence[str],
    now_ns: int,
    before: Plan | None = None,
    components: bool = False,
) -> Discovery:
    """Walk the BMC and return where its totals are.

    Args:
        walk: Fresh, or the one that was cut off.
        known_nodes: Nodes that were seen before.
        now_ns: Nanoseconds since the Unix epoch, UTC.
        before: What an earlier walk found; None: there was none.
        components: Whether parts are looked for as well.

    Raises:
        BmcError: The BMC cannot be reached, refuses the log-in, or is no Redfish service.
        WalkPausedError: The walk's requests are used up.
    """
    inventory = await _inventory(walk)
    if before is not None and not inventory.is_named:
        # One that boots does not tell yet what it is.
        inventory = replace(inventory, effects=inventory.effects.joined(before.effects))
    known = inventory.effects.supplies_are_shared
    shared = known or (before is not None and before.effects.supplies_are_shared)
    chosen, valid = await _descend(walk, inventory, known_nodes, shared=shared)
    if before is None and chosen and _is_early(inventory, len(chosen)):
        walk.problems.append(BmcError("not all of its computers show their power yet", reason="no_reading"))
    problems = len(walk.problems)
    housing = [chassis for chassis in inventory.chassis if not chassis.is_component]
    shared = shared or any(_is_fed(walk, one.found, inventory.effects) for one in chosen)
    effects = replace(inventory.effects, supplies_are_shared=shared)
    totals = [await _planned(walk, one, inventory, effects, housing, before) for one in chosen]
    parts: tuple[PartPlan, ...] = ()
    if components:
        parts = await find_parts(walk, inventory.chassis, chosen, manager=inventory.manager, shared=shared)
    mine = [one.found.chassis for one in chosen[:1]]
    inlet = await find_inlet(walk, tuple(dict.fromkeys([*mine, *housing]))) if chosen else None
    # What cannot be read of all that accompanies a total makes no better source of power likely.
    del walk.problems[problems:]
    plan = Plan(tuple(totals), now_ns, effects, parts, inlet)
    declared = totals[0].declared if totals else None
    return Discovery(plan, valid, await _server_info(walk, inventory, chosen, effects, declared))


async def _planned(
    walk: Walk,
    chosen: Chosen,
    inventory: Inventory,
    effects: quirks.Effects,
    housing: Sequence[Chassis],
    before: Plan | None,
) -> TotalPlan:
    """Return the plan of one total: its counter, what may stand in for it, what is declared of it."""
    found, place = chosen.found, chosen.found.place
    counter = await find_counter(walk, found, manager=inventory.manager, housing=housing)
    views = before.views(place) if before is not None else ()
    stand_ins = await find_stand_ins(walk, found, effects, views=views)
    declared = await find_declared(walk, inventory.telemetry, place.paths[0], found.candidate)
    at_part = found.chassis.is_component
    return TotalPlan(chosen.node, chosen.scope, place, chosen.host, counter, declared, stand_ins, at_part)


async def look_everywhere(walk: Walk) -> None:
    """Ask for whatever may hold power, also what the quirk table leaves out; raises as `discover` does."""
    inventory = await _inventory(walk)
    for chassis in inventory.chassis:
        for rung in RUNGS:
            await found_at(rung, walk, chassis, quirks.Effects(), shared=False)


async def _inventory(walk: Walk) -> Inventory:
    root = await _root(walk)
    systems = await walk.each(link(root, "Systems"), parse_system)
    chassis = await walk.each(link(root, "Chassis"), parse_chassis)
    managers = await walk.members(link(root, "Managers"))
    manager = await walk.get(managers.paths[0]) if managers.paths else None
    firmware = parse_firmware(manager)
    vendor, model = _maker(systems, chassis)
    found = quirks.effects(vendor or text(root, "Vendor"), model, firmware)
    is_named = any(system.model for system in systems)
    telemetry = link(root, "TelemetryService")
    return Inventory(systems, chassis, manager, firmware, found, is_named, telemetry)


def _is_early(inventory: Inventory, totals: int) -> bool:
    """Whether the BMC announces more computers than it shows, as one does that boots."""
    shown = {same_key(system.path) for system in inventory.systems}
    announced = {path for chassis in inventory.chassis for path in chassis.systems}
    nodes = nodes_of(computers(inventory.systems), inventory.chassis)
    return not announced <= shown or totals < len(nodes)


def _is_fed(walk: Walk, found: Found, effects: quirks.Effects) -> bool:
    """Whether the supplies beside a total are an enclosure's: by its chassis, or they deliver far more."""
    path = found.place.paths[0]
    answer = walk.answers.get(path)
    if found.place.form != "power" or answer is None or not found.candidate.watts:
        return found.chassis.is_fed
    supplies = parse_supplies(answer.document, path, effects)
    delivered_w, _ = supply_total([supply.output_w for supply in supplies], distinct=False)
    feed_more = delivered_w is not None and found.candidate.watts < quirks.FED_SHARE * delivered_w
    return found.chassis.is_fed or feed_more


async def _root(walk: Walk) -> Json:
    root = await walk.get(ROOT, anonymous=True)
    if root is None and any(problem.reason == "privilege" for problem in walk.problems):
        # Some services show even their root to known users only.
        walk.answers.pop(ROOT)
        root = await walk.get(ROOT)
    if not isinstance(root, dict):
        raise (
            walk.problems[-1]
            if walk.problems
            else BmcDataError(f"GET {ROOT}: no Redfish service here", reason="unsupported")
        )
    walk.offer_sessions(link(sub_object(root, "Links"), "Sessions"))
    return root


def _maker(systems: Sequence[System], chassis: Sequence[Chassis]) -> tuple[str | None, str | None]:
    own, housing = computers(systems), [c for c in chassis if not c.is_component]
    vendors = [*(s.vendor for s in own), *(c.vendor for c in housing)]
    models = [*(s.model for s in own), *(c.model for c in housing)]
    return next(filter(None, vendors), None), next(filter(None, models), None)


async def _descend(
    walk: Walk, inventory: Inventory, known_nodes: Sequence[str], *, shared: bool
) -> tuple[tuple[Chosen, ...], bool]:
    every: list[Found] = []
    for tier in tiers(inventory.chassis):
        for rung in RUNGS:
            for chassis in tier:
                every += await found_at(rung, walk, chassis, inventory.effects, shared=shared)
            chosen = choose(every, inventory.chassis, inventory.systems, known_nodes=known_nodes)
            if chosen:
                return chosen, True
        if every:
            # A computer that is silent just now draws more than its GPUs (825 of a DGX H100's 1950 W).
            break
    # Places that hold no value now, of a host that is off, say.
    silent = choose(every, inventory.chassis, inventory.systems, known_nodes=known_nodes, valid_only=False)
    return silent, False


async def _server_info(
    walk: Walk,
    inventory: Inventory,
    chosen: Sequence[Chosen],
    effects: quirks.Effects,
    declared: Declared | None,
) -> ServerInfo:
    vendor, model = _maker(inventory.systems, inventory.chassis)
    found = completed(chosen[0].found.candidate if chosen else Candidate(None, ""), declared)
    own = owns_supplies(chosen, effects)
    extras = await supply_facts(walk, chosen[0].found.chassis, own=own) if chosen else Extras()
    return ServerInfo(
        vendor=vendor,
        model=model,
        bmc_fw=inventory.firmware,
        bios=next((s.bios for s in computers(inventory.systems) if s.bios), None),
        power_cap_w=extras.cap_w,
        refresh_s=found.refresh_s,
        refresh_from=found.refresh_from if found.refresh_s else None,
        window_s=found.window_s,
        accuracy_pct=found.accuracy_pct,
        psu_count=extras.psu_count,
        psu_capacity_w=extras.psu_capacity_w,
    )
