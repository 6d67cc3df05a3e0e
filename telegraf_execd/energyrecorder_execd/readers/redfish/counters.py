"""Understands cumulative energy counters: which one belongs to a total, what it shows in joules (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from energyrecorder_execd import quirk_places
from energyrecorder_execd.readers.json_values import at, lenient_number, sub_object, targets, text
from energyrecorder_execd.readers.redfish.resources import last_part

J_PER_WH = 3600.0
J_PER_KWH = 3.6e6

COUNTER_PERIOD_S = 60.0
"""Counters are read at most this often."""

# ReadingUnits in lower case; without one, ReadingType (Gigabyte gives the type alone).
_UNITS = {"j": 1.0, "kj": 1000.0, "wh": J_PER_WH, "w.h": J_PER_WH, "kwh": J_PER_KWH, "kw.h": J_PER_KWH}
_TYPES = {"energyjoules": 1.0, "energywh": J_PER_WH, "energykwh": J_PER_KWH}
_EXCERPTS = (("EnergyJoules", 1.0), ("EnergykWh", J_PER_KWH))

# LifetimeReading survives Sensor.ResetMetrics, Reading need not.
_READINGS = ("LifetimeReading", "Reading")


@dataclass(frozen=True, slots=True)
class CounterPlace:
    """Where a counter stands.

    Args:
        path: Of the resource.
        pointer: JSON pointer to the number in it.
        joules: Joules per unit of the number.
        wrap_j: Value at which it wraps, joules; None unknown.
    """

    path: str
    pointer: str
    joules: float
    wrap_j: float | None = None


def counter_j(document: Any, place: CounterPlace) -> float | None:
    """Return what the counter shows, joules; None if it shows nothing: a counter at 0 counts nothing."""
    parent, _, key = place.pointer.rpartition("/")
    holder = at(document, parent)
    value = lenient_number(holder, key) if isinstance(holder, Mapping) else None
    return value * place.joules if value is not None and value > 0 else None


def environment_counter(document: Any, path: str) -> CounterPlace | None:
    """Return the counter of an EnvironmentMetrics or PowerSupplyMetrics resource; None if it has none."""
    if not isinstance(document, Mapping):
        return None
    for key, joules in _EXCERPTS:
        for reading in _READINGS:
            place = CounterPlace(path, f"/{key}/{reading}", joules)
            if counter_j(document, place) is not None:
                return place
    return None


def sensor_counter(document: Any, path: str) -> CounterPlace | None:
    """Return the counter that a sensor is; None if its unit is none of energy or it shows nothing."""
    if not isinstance(document, Mapping):
        return None
    unit = text(document, "ReadingUnits")
    kind = text(document, "ReadingType") or ""
    joules = _TYPES.get(kind.lower()) if unit is None else _UNITS.get(unit.lower())
    if joules is None:
        return None
    largest = lenient_number(document, "ReadingRangeMax")
    wrap_j = largest * joules if largest and largest > 0 else None
    for reading in _READINGS:
        place = CounterPlace(path, f"/{reading}", joules, wrap_j)
        if counter_j(document, place) is not None:
            return place
    return None


def energy_sibling(sensor: str, listed: tuple[str, ...]) -> str | None:
    """Return the sensor that counts the energy of a power sensor: the same id with Energy for Power.

    ``ChassisVoltageRegulator0InputEnergy`` beside ``…InputPower`` (Cray EX), ``TotalEnergy`` beside
    ``TotalPower`` (DMTF mockup).

    Args:
        sensor: Path of the power sensor.
        listed: Paths of all sensors of that chassis.
    """
    mine = last_part(sensor).lower()
    wanted = mine.replace("power", "energy")
    if wanted == mine:
        return None
    return next((path for path in listed if last_part(path).lower() == wanted), None)


def oem_counter_links(manager: Any) -> list[tuple[str, quirk_places.OemCounter]]:
    """Return the resources with a vendor's counter that a manager links to, and their row of the table."""
    return [
        (path, row)
        for row in quirk_places.OEM_COUNTERS
        for path in linked_resources(manager, row.links, row.resource)
    ]


def linked_resources(manager: Any, links: str, resource: str) -> list[str]:
    """Return the paths that a manager links to at the pointer ``links`` and that end in ``resource``."""
    if not isinstance(manager, Mapping):
        return []
    return [path for path in targets(at(manager, links)) if last_part(path).lower() == resource.lower()]


def oem_counter(document: Any, path: str, row: quirk_places.OemCounter) -> CounterPlace | None:
    """Return a vendor's counter; None if it shows nothing."""
    place = CounterPlace(path, row.pointer, row.joules)
    return place if counter_j(document, place) is not None else None


def may_wrap_unseen(place: CounterPlace, watts: float | None) -> bool:
    """Whether the counter may wrap between two readings of ours: then it is worth nothing.

    Args:
        place: The counter.
        watts: Power just now; None unknown.
    """
    return place.wrap_j is not None and place.wrap_j < 2 * COUNTER_PERIOD_S * max(watts or 0.0, 1000.0)


def supplies_counter_j(documents: Iterable[Any]) -> float | None:
    """Return the sum of the counters of all supplies' metrics, joules; None if one of them has none."""
    total_j = 0.0
    for document in documents:
        place = environment_counter(document, "")
        shown_j = counter_j(document, place) if place is not None else None
        if shown_j is None or "Reading" not in sub_object(document, "InputPowerWatts"):
            return None
        total_j += shown_j
    return total_j or None
