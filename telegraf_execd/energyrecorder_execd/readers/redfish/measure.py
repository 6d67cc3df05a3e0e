"""Takes the value of one planned total out of the documents of a poll (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from energyrecorder.errors import BmcDataError
from energyrecorder_execd import quirks
from energyrecorder_execd.readers.json_values import as_object, members
from energyrecorder_execd.readers.redfish.parse import (
    Candidate,
    parse_environment,
    parse_pointer,
    parse_power,
    parse_sensor,
)
from energyrecorder_execd.readers.redfish.plan import Place
from energyrecorder_execd.readers.redfish.power_supplies import Supply, parse_supplies, parse_supply_metrics
from energyrecorder_execd.readers.redfish.resources import last_part
from energyrecorder_execd.readers.redfish.select import supply_total


def measure(place: Place, documents: Mapping[str, Any], effects: quirks.Effects) -> tuple[Candidate, Place]:
    """Take one total out of the documents; also return the place, which may have learned something.

    Args:
        place: Where it stands.
        documents: By path, all of the place's.
        effects: What the quirk table says of this BMC.

    Raises:
        BmcDataError: A value is malformed, the resource is no longer what it was, or a supply is silent.
    """
    path = place.paths[0]
    if place.form == "power":
        for candidate in parse_power(documents.get(path), path, effects):
            if candidate.source == place.source:
                return candidate, place
        return Candidate(None, place.source), place
    if place.form == "pointer":
        candidate = parse_pointer(documents.get(path), path, place.member)
        if candidate.watts is None:
            raise BmcDataError(f"{path}: {place.member}: the node's own value is not shown", reason="data")
        return candidate, place
    if place.form == "environment":
        found, _ = parse_environment(documents.get(path), path)
        return found or Candidate(None, place.source), place
    if place.form in {"sensor", "member"}:
        document = documents.get(path)
        if place.form == "member":
            document = _member(document, path, place.member)
        sensor = parse_sensor(document, path)
        return replace(sensor.candidate, source=place.source, side=place.side), place
    return _supply_sum(place, documents, effects)


def _supply_sum(
    place: Place, documents: Mapping[str, Any], effects: quirks.Effects
) -> tuple[Candidate, Place]:
    """Return the sum of the supplies, or the total that they repeat; arguments and errors as of `measure`."""
    path = place.paths[0]
    supplies = _supplies(place, documents, effects)
    readings = [supply.figure_w(place.source) for supply in supplies]
    total, distinct = supply_total(readings, distinct=place.distinct)
    shown = len(readings) - readings.count(None)
    missing = sum(supply.is_missing(place.source) for supply in supplies)
    expected = max(shown + missing, place.supplies)
    repeated = not distinct and max(shown, place.supplies) > 1
    if 0 < shown < expected and not repeated:
        # The others alone are no total. One that shows nothing any more is left out by the next walk.
        figure = "input" if place.source == "psu_input_sum" else "output"
        told = f"{path}: only {shown} of {expected} power supplies show their {figure}"
        raise BmcDataError(told, reason="no_reading")
    candidate = Candidate(total, place.source, "ac" if place.source == "psu_input_sum" else "dc")
    learned = replace(place, distinct=distinct, supplies=max(shown, place.supplies))
    return candidate, place if learned == place else learned


def _supplies(place: Place, documents: Mapping[str, Any], effects: quirks.Effects) -> list[Supply]:
    """Return each power supply that is there.

    Args:
        place: Of the form ``supplies`` or ``metrics``.
        documents: By path, all of the place's.
        effects: What the quirk table says of this BMC.

    Raises:
        BmcDataError: A value is malformed, or the resource is no longer what it was.
    """
    if place.form == "supplies":
        return parse_supplies(documents.get(place.paths[0]), place.paths[0], effects)
    return [_supply(documents.get(path), path, place.source) for path in place.paths]


def _member(document: Any, path: str, member: str) -> Any:
    for item in members(as_object(document, path).get("Members")):
        if member in (item.get("Id"), last_part(str(item.get("@odata.id", "")))):
            return item
    raise BmcDataError(f"{path}: the collection has no member {member!r} any more", reason="data")


def _supply(document: Any, path: str, source: str) -> Supply:
    body = as_object(document, path)
    if "Reading" in body or "ReadingType" in body:
        watts = parse_sensor(body, path).candidate.watts
        return Supply(input_w=watts) if source == "psu_input_sum" else Supply(output_w=watts)
    return parse_supply_metrics(body, path)
