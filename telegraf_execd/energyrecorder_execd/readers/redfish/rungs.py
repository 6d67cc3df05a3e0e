"""The rungs of the ladder: each looks at one kind of resource of a chassis for the power of its computer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from energyrecorder.errors import BmcDataError
from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.readers.fast_meter import SOURCE as METER
from energyrecorder_execd.readers.fast_meter import fast_meter_link
from energyrecorder_execd.readers.json_values import as_object, link
from energyrecorder_execd.readers.redfish.accompany import present_supplies
from energyrecorder_execd.readers.redfish.measure import measure
from energyrecorder_execd.readers.redfish.meter import as_candidate, newest_record
from energyrecorder_execd.readers.redfish.parse import (
    Candidate,
    parse_environment,
    parse_pointer,
    parse_power,
    parse_sensor,
)
from energyrecorder_execd.readers.redfish.plan import Place
from energyrecorder_execd.readers.redfish.power_supplies import Supply, parse_supply_metrics
from energyrecorder_execd.readers.redfish.resources import Chassis, last_part, parse_chassis
from energyrecorder_execd.readers.redfish.select import Found
from energyrecorder_execd.readers.redfish.walk import Walk

MAX_SENSORS_READ = 8
"""Sensors that look like a total by their id are read until one is; so many at most."""

MAX_SUPPLY_SENSORS = 16
"""Each costs a request in each poll."""


async def _node(walk: Walk, chassis: Chassis, _: quirks.Effects) -> list[Found]:
    """Find a node's own power in the resource of its enclosure, or where that would show it."""
    found: list[Found] = []
    if chassis.is_enclosure:
        return found
    for path, answer in walk.answers.items():
        if answer is None or not isinstance(answer.document, dict):
            continue
        around = parse_chassis(answer.document, path).is_enclosure
        for row in quirk_places.OEM_NODES:
            candidate = parse_pointer(answer.document, path, row.pointer)
            if around or candidate.watts is not None:
                found.append(Found(chassis, Place("pointer", "oem", (path,), row.pointer), candidate))
    return found


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
    places = []
    if await walk.get(chassis.power) is not None and chassis.power is not None:
        places = [Place("supplies", source, (chassis.power,)) for source in _SUPPLY_SOURCES]
    places += await _supply_metrics(walk, chassis)
    places += await _supply_sensors(walk, chassis)
    ranked = []
    for place in places:
        documents = {path: await walk.get(path) for path in place.paths}
        known = any((place.source, path) in walk.differing for path in place.paths)
        place_now = replace(place, distinct=known)
        try:
            candidate, place_now = measure(place_now, documents, effects)
        except BmcDataError as error:
            if error.reason != "no_reading":
                raise
            # A part is missing: here the total will be once it is shown.
            candidate = Candidate(None, place.source)
        else:
            if not place_now.supplies:
                continue
        # Sums of parts before totals that every supply repeats (rules 4 and 5), input before output.
        repeated = place_now.supplies > 1 and not place_now.distinct
        key = (repeated, _SUPPLY_SOURCES.index(place.source))
        ranked.append((key, Found(chassis, place_now, candidate)))
    return [found for _, found in sorted(ranked, key=lambda item: item[0])]


async def _supply_metrics(walk: Walk, chassis: Chassis) -> list[Place]:
    paths: dict[str, list[str]] = {source: [] for source in _SUPPLY_SOURCES}
    for _, supply in await present_supplies(walk, await walk.get(chassis.power_subsystem)):
        metrics = link(supply, "Metrics")
        document = await walk.get(metrics)
        if document is None or metrics is None:
            continue
        shown = parse_supply_metrics(as_object(document, metrics), metrics)
        drawn, input_w = await _figure(walk, metrics, shown.input_w, shown.input_from)
        given, output_w = await _figure(walk, metrics, shown.output_w, shown.output_from)
        followed = Supply(input_w, output_w, at_mains=shown.at_mains)
        for source, path in zip(_SUPPLY_SOURCES, (drawn, given), strict=True):
            # The metrics of one that a sum lacks say in each poll that it does.
            place = metrics if followed.is_missing(source) else path
            paths[source] += [] if place is None else [place]
    return [Place("metrics", source, tuple(found)) for source, found in paths.items() if found]


async def _figure(
    walk: Walk, metrics: str, watts: float | None, follow: str | None
) -> tuple[str | None, float | None]:
    """Return where a figure of a supply stands, in its metrics or in a sensor of its own, and its value."""
    if watts is not None:
        return metrics, watts
    document = await walk.get(follow)
    if document is None or follow is None:
        return None, None
    return follow, parse_sensor(document, follow).candidate.watts


async def _supply_sensors(walk: Walk, chassis: Chassis) -> list[Place]:
    listed = (await walk.members(chassis.sensors)).paths
    named = [path for path in listed if quirks.is_supply_sensor(last_part(path))][:MAX_SUPPLY_SENSORS]
    documents = [(path, await walk.get(path)) for path in named]
    paths = [p for p, shown in documents if isinstance(shown, dict) and parse_sensor(shown, p).measures_watts]
    return [Place("metrics", "psu_input_sum", tuple(paths))] if paths else []


async def _meter(walk: Walk, chassis: Chassis, _: quirks.Effects) -> list[Found]:
    power = await walk.get(chassis.power)
    path = fast_meter_link(power) if isinstance(power, dict) else None
    await walk.get(path)
    answer = walk.answers[path] if path is not None else None
    record = newest_record(answer) if answer is not None else None
    if path is None or record is None:
        return []
    return [Found(chassis, Place("meter", METER, (path,)), as_candidate(record))]


_SUPPLY_SOURCES = ("psu_input_sum", "psu_output_sum")
Rung = Callable[[Walk, Chassis, quirks.Effects], Awaitable[list[Found]]]
RUNGS: tuple[Rung, ...] = (_node, _power, _environment, _sensors, _supplies, _meter)
"""From the best one down."""


async def found_at(
    rung: Rung, walk: Walk, chassis: Chassis, effects: quirks.Effects, *, shared: bool
) -> list[Found]:
    """Return what a rung finds at a chassis, best first; what is malformed is a problem of the walk.

    Args:
        rung: One of `RUNGS`.
        walk: The BMC.
        chassis: Where to look.
        effects: What the quirk table says of this BMC.
        shared: The supplies feed more than this BMC's computer, so their sum is nobody's power.
    """
    # What else such a BMC calls its power holds the share as well: it is not the node's.
    if effects.control_includes_share != (rung is _node):
        return []
    if rung is _supplies and (shared or chassis.is_fed):
        return []
    try:
        return await rung(walk, chassis, effects)
    except BmcDataError as error:
        walk.problems.append(error)
        return []
