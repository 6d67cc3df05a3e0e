"""Finds parts whose power is shown beside the total: supplies, CPUs, memory, GPUs (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from energyrecorder.errors import BmcDataError
from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.readers.json_values import as_object, lenient_watts, members, text
from energyrecorder_execd.readers.redfish.parse import is_part, parse_environment, parse_pointer
from energyrecorder_execd.readers.redfish.power_supplies import bays, parse_supplies, parse_supply_metrics
from energyrecorder_execd.readers.redfish.resources import Chassis

MAX_PARTS = 64
"""A BMC with more of them is not worth the requests."""

_KINDS = (
    ("gpu", re.compile(r"gpu|accelerator", re.IGNORECASE)),
    ("cpu", re.compile(r"cpu|processor", re.IGNORECASE)),
    ("memory", re.compile(r"mem|dimm", re.IGNORECASE)),
    ("fan", re.compile(r"fan", re.IGNORECASE)),
    ("storage", re.compile(r"storage|drive", re.IGNORECASE)),
    ("nvswitch", re.compile(r"nv_?switch", re.IGNORECASE)),
)
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True, slots=True)
class Component:
    """The power of one part.

    Args:
        part: Its name, such as ``psu1``, ``cpu0``, ``gpu3``.
        watts: Its power.
        source: One of `energyrecorder.schema.SOURCES`.
        side: ``ac``, ``dc`` or ``unknown``.
    """

    part: str
    watts: float
    source: str
    side: str = "unknown"


def part_name(said: str) -> str | None:
    """Return what a part is called in a series: kind and number, as ``gpu4`` for HGX_GPU_SXM_4.

    None for a name that tells no kind: a series nobody can read is none.
    """
    if quirks.NO_PART.search(said):
        return None
    for kind, pattern in _KINDS:
        if pattern.search(said):
            number = _LAST_NUMBER.search(said)
            return f"{kind}{number[1]}" if number is not None else kind
    return None


def power_components(document: Any, path: str, effects: quirks.Effects) -> list[Component]:
    """Return the parts that a Power resource shows; each name once.

    Args:
        document: The resource.
        path: Its path.
        effects: What the quirk table says of this BMC.

    Raises:
        BmcDataError: The document is no object, or a supply's reading is malformed.
    """
    found = {part.part: part for part in _vendors_own(document, path)}
    found |= {part.part: part for part in _subsystems(document, path)}
    if not effects.supplies_are_shared:
        found |= {part.part: part for part in _supplies(document, path, effects)}
    return list(found.values())


def _vendors_own(document: Any, path: str) -> list[Component]:
    rows = [row for row in quirk_places.OEM_PARTS if not row.links]
    return [part for row in rows if (part := pointed_component(document, path, row.pointer, row.part))]


def _subsystems(document: Any, path: str) -> list[Component]:
    found = []
    for entry in members(as_object(document, path).get("PowerControl")):
        if not is_part(entry):
            continue
        part = part_name(text(entry, "Name") or text(entry, "PhysicalContext") or "")
        watts = lenient_watts(entry, "PowerConsumedWatts")
        if part is not None and watts:
            found.append(Component(part, watts, "power_control"))
    return found


def _supplies(document: Any, path: str, effects: quirks.Effects) -> list[Component]:
    """Return the supplies, numbered by their place in the list, empty bays counted."""
    numbers = [number for number, _ in bays(as_object(document, path))]
    supplies = list(zip(numbers, parse_supplies(document, path, effects), strict=True))
    outputs = [supply.output_w for _, supply in supplies if supply.output_w is not None]
    # A total that every supply repeats is no part (894 W four times: HPE XL675d).
    repeated = len(outputs) > 1 and len(set(outputs)) == 1
    found = []
    for number, supply in supplies:
        if supply.input_w is not None:
            found.append(Component(f"psu{number}", supply.input_w, "psu_input_sum", "ac"))
        elif supply.output_w is not None and not repeated:
            found.append(Component(f"psu{number}", supply.output_w, "psu_output_sum", "dc"))
    return found


def pointed_component(document: Any, path: str, pointer: str, part: str) -> Component | None:
    """Return the part whose power a vendor shows at ``pointer``; None if it shows none."""
    try:
        watts = parse_pointer(document, path, pointer).watts
    except BmcDataError:
        return None
    return Component(part, watts, "oem") if watts else None


def environment_part(chassis: Chassis) -> str | None:
    """Return the name of the part that a chassis is; None if it is none, or tells no power."""
    if chassis.environment is None or not chassis.is_component:
        return None
    return part_name(chassis.chassis_id)


def resource_component(document: Any, path: str, part: str) -> Component | None:
    """Return the part that EnvironmentMetrics or a supply's metrics show; None if they show no power."""
    try:
        candidate, _ = parse_environment(document, path)
        supply = parse_supply_metrics(document, path)
    except BmcDataError:
        return None
    if candidate is not None and candidate.watts:
        return Component(part, candidate.watts, candidate.source, candidate.side)
    if supply.input_w:
        return Component(part, supply.input_w, "psu_input_sum", "ac")
    return Component(part, supply.output_w, "psu_output_sum", "dc") if supply.output_w else None
