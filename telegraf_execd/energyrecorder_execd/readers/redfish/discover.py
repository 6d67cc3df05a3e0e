"""Finds, once, where a BMC keeps the power of its computers: goes down the rungs of `select`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder.errors import BmcDataError
from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.readers.base import ServerInfo
from energyrecorder_execd.readers.json_values import Json, as_object, link, sub_object, text
from energyrecorder_execd.readers.redfish.accompany import (
    find_counter,
    find_parts,
    present_supplies,
    supply_facts,
)
from energyrecorder_execd.readers.redfish.measure import measure, supply_readings
from energyrecorder_execd.readers.redfish.parse import (
    Candidate,
    parse_environment,
    parse_pointer,
    parse_power,
    parse_sensor,
    parse_supplies,
    parse_supply_metrics,
)
from energyrecorder_execd.readers.redfish.plan import PartPlan, Place, Plan, TotalPlan
from energyrecorder_execd.readers.redfish.resources import (
    Chassis,
    System,
    last_part,
    parse_chassis,
    parse_firmware,
    parse_system,
)
from energyrecorder_execd.readers.redfish.select import Chosen, Found, choose, computers, supply_total, tiers
from energyrecorder_execd.readers.redfish.thermal import find_inlet
from energyrecorder_execd.readers.redfish.walk import Walk

ROOT = "/redfish/v1/"
MAX_SENSORS_READ = 8
"""Sensors that look like a total by their id are read until one is; so many at most."""

MAX_SUPPLY_SENSORS = 16
"""Each costs a request in each poll."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a BMC manages.

    Args:
        systems: In its order.
        chassis: In its order.
        manager: The resource of the BMC itself; None if there is none.
        firmware: Of the BMC; None unknown.
        effects: What the quirk table says of it.
    """

    systems: tuple[System, ...]
    chassis: tuple[Chassis, ...]
    manager: Any
    firmware: str | None
    effects: quirks.Effects


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
    supplies_are_shared: bool = False,
    components: bool = False,
) -> Discovery:
    """Walk the BMC and return where its totals are.

    Args:
        walk: Fresh, or the one that was cut off.
        known_nodes: Nodes that were seen before.
        now_ns: Nanoseconds since the Unix epoch, UTC.
        supplies_are_shared: An earlier walk saw that the supplies feed more than this BMC's computer.
        components: Whether parts are looked for as well.

    Raises:
        BmcError: The BMC cannot be reached, refuses the log-in, or is no Redfish service.
        WalkPausedError: The walk's requests are used up.
    """
    inventory = await _inventory(walk)
    chosen, valid = await _descend(walk, inventory, known_nodes, shared=supplies_are_shared)
    problems = len(walk.problems)
    housing = [chassis for chassis in inventory.chassis if not chassis.is_component]
    totals = []
    for one in chosen:
        counter = await find_counter(walk, one.found, manager=inventory.manager, housing=housing)
        totals.append(TotalPlan(one.node, one.scope, one.found.place, one.host, counter))
    shared = supplies_are_shared or any(_is_fed(walk, one.found, inventory.effects) for one in chosen)
    effects = replace(inventory.effects, supplies_are_shared=True) if shared else inventory.effects
    parts: tuple[PartPlan, ...] = ()
    if components:
        shared = effects.supplies_are_shared
        parts = await find_parts(walk, inventory.chassis, chosen, manager=inventory.manager, shared=shared)
    mine = [one.found.chassis for one in chosen[:1]]
    inlet = await find_inlet(walk, tuple(dict.fromkeys([*mine, *housing]))) if chosen else None
    # What cannot be read of a counter, a part or a temperature makes no better source of power likely.
    del walk.problems[problems:]
    plan = Plan(tuple(totals), now_ns, effects, parts, inlet)
    return Discovery(plan, valid, await _server_info(walk, inventory, chosen))


async def _inventory(walk: Walk) -> Inventory:
    root = await _root(walk)
    systems = await walk.each(link(root, "Systems"), parse_system)
    chassis = await walk.each(link(root, "Chassis"), parse_chassis)
    managers = await walk.members(link(root, "Managers"))
    manager = await walk.get(managers.paths[0]) if managers.paths else None
    firmware = parse_firmware(manager)
    vendor, model = _maker(systems, chassis)
    found = quirks.effects(vendor or text(root, "Vendor"), model, firmware)
    return Inventory(systems, chassis, manager, firmware, found)


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
        for rung in _RUNGS:
            step: list[Found] = []
            for chassis in tier:
                if rung is _supplies and (shared or chassis.is_fed):
                    continue
                try:
                    step += await rung(walk, chassis, inventory.effects)
                except BmcDataError as error:
                    walk.problems.append(error)
            chosen = choose(step, inventory.chassis, inventory.systems, known_nodes=known_nodes)
            if chosen:
                return chosen, True
            every += step
    # Places that hold no value now, of a host that is off, say.
    silent = choose(every, inventory.chassis, inventory.systems, known_nodes=known_nodes, valid_only=False)
    return silent, False


async def _node(walk: Walk, chassis: Chassis, effects: quirks.Effects) -> list[Found]:
    """Find a node's own power in the resource of its enclosure, where PowerControl holds more than that."""
    if not effects.control_includes_share or chassis.is_enclosure:
        return []
    for path, answer in walk.answers.items():
        for row in quirk_places.OEM_NODES if answer is not None and isinstance(answer.document, dict) else ():
            candidate = parse_pointer(answer.document, path, row.pointer) if answer is not None else None
            if candidate is not None and candidate.watts:
                return [Found(chassis, Place("pointer", "oem", (path,), row.pointer), candidate)]
    return []


async def _power(walk: Walk, chassis: Chassis, effects: quirks.Effects) -> list[Found]:
    document = await walk.get(chassis.power)
    if document is None or chassis.power is None:
        return []
    return [
        Found(chassis, Place("power", candidate.source, (chassis.power,)), candidate)
        for candidate in parse_power(document, chassis.power, effects)
    ]


async def _environment(walk: Walk, chassis: Chassis, _: quirks.Effects) -> list[Found]:
    path = chassis.environment
    document = await walk.get(path)
    if document is None or path is None:
        return []
    candidate, follow = parse_environment(document, path)
    if candidate is None:
        return []
    place = Place("environment", "environment_metrics", (path,), side=candidate.side)
    if follow is not None:
        place = Place("sensor", "environment_metrics", (follow,), side=candidate.side)
        document = await walk.get(follow)
        if document is None:
            return []
        candidate, _same = measure(place, {follow: document}, quirks.Effects())
    return [Found(chassis, place, candidate)]


async def _sensors(walk: Walk, chassis: Chassis, _: quirks.Effects) -> list[Found]:
    if chassis.sensors is None:
        return []
    collection = await walk.members(chassis.sensors)
    ranked = sorted(
        (rank, path)
        for path in collection.paths
        if (rank := quirks.total_sensor_rank(last_part(path))) is not None
    )
    expanded = {last_part(path): body for body in collection.bodies if (path := link(body, "@odata.id"))}
    for _rank, path in ranked[:MAX_SENSORS_READ]:
        document = await walk.get(path)
        place = Place("sensor", "sensor", (path,))
        if document is None and last_part(path) in expanded:
            # Some services expand the collection and have no resource behind a member.
            document = expanded[last_part(path)]
            place = Place("member", "sensor", (chassis.sensors,), member=last_part(path))
        found = None if document is None else _total_sensor(chassis, place, document, path)
        if found is not None:
            return [found]
    return []


def _total_sensor(chassis: Chassis, place: Place, document: Any, path: str) -> Found | None:
    sensor = parse_sensor(document, path)
    rank = quirks.total_sensor_rank(last_part(path), sensor.name)
    if rank is None or not sensor.measures_watts or sensor.context in quirks.PART_CONTEXTS:
        return None
    side = quirks.TOTAL_SENSORS[rank].side
    return Found(chassis, replace(place, side=side), replace(sensor.candidate, side=side))


async def _supplies(walk: Walk, chassis: Chassis, effects: quirks.Effects) -> list[Found]:
    if effects.supplies_are_shared:
        return []
    places = []
    if await walk.get(chassis.power) is not None and chassis.power is not None:
        places = [Place("supplies", source, (chassis.power,)) for source in _SUPPLY_SOURCES]
    places += await _supply_metrics(walk, chassis)
    places += await _supply_sensors(walk, chassis)
    ranked = []
    for place in places:
        documents = {path: await walk.get(path) for path in place.paths}
        readings = [w for w in supply_readings(place, documents, effects) if w is not None]
        if not readings:
            continue
        candidate, place_now = measure(place, documents, effects)
        # Sums of parts before totals that every supply repeats (rules 4 and 5), input before output.
        repeated = len(readings) > 1 and not place_now.distinct
        key = (repeated, _SUPPLY_SOURCES.index(place.source))
        ranked.append((key, Found(chassis, place_now, candidate)))
    return [found for _, found in sorted(ranked, key=lambda item: item[0])]


async def _supply_metrics(walk: Walk, chassis: Chassis) -> list[Place]:
    inputs: list[str] = []
    outputs: list[str] = []
    for _, supply in await present_supplies(walk, await walk.get(chassis.power_subsystem)):
        metrics = link(supply, "Metrics")
        document = await walk.get(metrics)
        if document is None or metrics is None:
            continue
        reading = parse_supply_metrics(as_object(document, metrics), metrics)
        inputs += _reading_path(reading.input_w, reading.input_from, metrics)
        outputs += _reading_path(reading.output_w, reading.output_from, metrics)
    answering = [
        tuple([path for path in paths if await walk.get(path) is not None]) for paths in (inputs, outputs)
    ]
    return [
        Place("metrics", source, paths)
        for source, paths in zip(_SUPPLY_SOURCES, answering, strict=True)
        if paths
    ]


async def _supply_sensors(walk: Walk, chassis: Chassis) -> list[Place]:
    listed = (await walk.members(chassis.sensors)).paths
    named = [path for path in listed if quirks.is_supply_sensor(last_part(path))][:MAX_SUPPLY_SENSORS]
    documents = [(path, await walk.get(path)) for path in named]
    paths = [p for p, shown in documents if isinstance(shown, dict) and parse_sensor(shown, p).measures_watts]
    return [Place("metrics", "psu_input_sum", tuple(paths))] if paths else []


def _reading_path(watts: float | None, follow: str | None, metrics: str) -> list[str]:
    if watts is not None:
        return [metrics]
    return [] if follow is None else [follow]


_SUPPLY_SOURCES = ("psu_input_sum", "psu_output_sum")
_Rung = Callable[[Walk, Chassis, quirks.Effects], Awaitable[list[Found]]]
_RUNGS: tuple[_Rung, ...] = (_node, _power, _environment, _sensors, _supplies)


async def _server_info(walk: Walk, inventory: Inventory, chosen: Sequence[Chosen]) -> ServerInfo:
    vendor, model = _maker(inventory.systems, inventory.chassis)
    found = chosen[0].found.candidate if chosen else Candidate(None, "")
    cap_w, psu_count = await supply_facts(walk, chosen[0].found.chassis) if chosen else (None, None)
    return ServerInfo(
        vendor=vendor,
        model=model,
        bmc_fw=inventory.firmware,
        bios=next((s.bios for s in computers(inventory.systems) if s.bios), None),
        power_cap_w=cap_w,
        refresh_s=found.refresh_s,
        refresh_from="declared" if found.refresh_s else None,
        window_s=found.window_s,
        accuracy_pct=found.accuracy_pct,
        psu_count=psu_count,
    )
