"""Understands the resources that hold power: JSON of any shape in, typed candidates out (pure).

Missing is None, malformed raises `BmcDataError` naming resource and attribute; nothing else is raised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.readers.json_values import (
    Json,
    as_object,
    at,
    duration_s,
    lenient_number,
    lenient_watts,
    members,
    number,
    sub_object,
    text,
)
from energyrecorder_execd.readers.redfish.power_supplies import Supply, bays, parse_supplies
from energyrecorder_execd.readers.redfish.resources import data_source, is_absent
from energyrecorder_execd.readers.redfish.watts import excerpt, plausible_watts
from energyrecorder_execd.readers.supplies import capacity_w

_WATTS = {"w": 1.0, "watt": 1.0, "watts": 1.0, "kw": 1000.0}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value that may be the power of a computer.

    Args:
        watts: Power; None: the place is there, but holds no value now.
        source: One of `energyrecorder.schema.SOURCES`.
        side: ``ac``, ``dc`` or ``unknown``.
        avg_w: The BMC's own average over its own period; likewise ``min_w``, ``max_w``.
        window_s: Averaging window of ``watts``; None unknown.
        refresh_s: Period of renewal; None unknown.
        refresh_from: Who tells ``refresh_s``: ``declared`` or ``vendor``.
        accuracy_pct: As declared; None unknown.
        shared: It is the power of an enclosure that feeds several computers.
    """

    watts: float | None
    source: str
    side: str = "unknown"
    avg_w: float | None = None
    min_w: float | None = None
    max_w: float | None = None
    window_s: float | None = None
    refresh_s: float | None = None
    refresh_from: str = "declared"
    accuracy_pct: float | None = None
    shared: bool = False


def parse_power(document: Any, path: str, effects: quirks.Effects) -> list[Candidate]:
    """Return the totals of a Power resource, best first: PowerControl, then what vendors put beside it.

    Raises:
        BmcDataError: A value that would decide is malformed.
    """
    body = as_object(document, path)
    entries = members(body.get("PowerControl"))
    found: list[Candidate] = []
    control = _control(body, entries, path)
    if control is not None:
        supplies = parse_supplies(document, path, effects)
        control = _with_side(control, supplies)
        if effects.supplies_are_shared and _is_sum(control.watts, supplies):
            control = replace(control, shared=True)
        found.append(control)
    found += [Candidate(watts, "oem") for watts in _oem_watts(body, entries, path)]
    return found


def _control(body: Json, entries: list[Json], path: str) -> Candidate | None:
    # iLO 4 2.54 has the same value at the top level, where older firmware has nothing else.
    places = [(f"PowerControl/{i}", entry) for i, entry in enumerate(entries) if not is_part(entry)]
    places = [place for place in places if _context(place[1]) not in quirks.BOARD_CONTEXTS] or places
    if not entries and "PowerConsumedWatts" in body:
        places = [("", body)]
    for where, entry in places:
        watts = plausible_watts(entry, "PowerConsumedWatts", f"{path}: {where}".rstrip(": "))
        if watts is not None:
            return _with_statistics(Candidate(watts, "power_control"), entry)
    for _, entry in places:
        averaged = _short_average(entry)
        if averaged is not None:
            return averaged
    return Candidate(None, "power_control") if places else None


def is_part(entry: Json) -> bool:
    """Whether a PowerControl entry is a part of the first one, by its context or else by its name."""
    context = _context(entry)
    if context:
        return context not in quirks.TOTAL_CONTEXTS | quirks.BOARD_CONTEXTS
    return quirks.PART_NAME.search(text(entry, "Name") or "") is not None


def _context(entry: Json) -> str:
    return (text(entry, "PhysicalContext") or "").lower()


def _metrics(entry: Json) -> Json:
    # PowerMetric, without s, is what Cisco CIMC writes (gofish#409).
    return sub_object(entry, "PowerMetrics") or sub_object(entry, "PowerMetric")


def _with_statistics(candidate: Candidate, entry: Json) -> Candidate:
    metrics = _metrics(entry)
    average = lenient_watts(metrics, "AverageConsumedWatts")
    # IntervalInMin 0 comes with figures of no known period (Gigabyte: 46, 3, 736 beside 100 W).
    if not lenient_number(metrics, "IntervalInMin") or not average:
        return candidate
    return replace(
        candidate,
        avg_w=average,
        min_w=lenient_watts(metrics, "MinConsumedWatts"),
        max_w=lenient_watts(metrics, "MaxConsumedWatts"),
    )


def _short_average(entry: Json) -> Candidate | None:
    if "PowerConsumedWatts" in entry:
        return None
    metrics = _metrics(entry)
    minutes = lenient_number(metrics, "IntervalInMin")
    average = lenient_watts(metrics, "AverageConsumedWatts")
    if not minutes or not average or not 0 < minutes <= quirks.SHORT_WINDOW_MIN:
        return None
    candidate = Candidate(average, "power_control", window_s=round(minutes * 60, 1))
    return _with_statistics(candidate, entry)


def _oem_watts(body: Json, entries: list[Json], path: str) -> list[float]:
    found = []
    for row in quirk_places.OEM_TOTALS:
        parent, _, key = row.pointer.rpartition("/")
        for place in (body, *entries[:1]):
            holder = at(place, parent)
            if isinstance(holder, dict):
                watts = plausible_watts(holder, key, f"{path}: {parent}")
                if watts is not None:
                    found.append(watts)
    return found


def _with_side(control: Candidate, supplies: list[Supply]) -> Candidate:
    """Tell the side by the power supplies: only where input and output differ and one of them fits."""
    inputs = sum(s.input_w for s in supplies if s.input_w is not None)
    outputs = sum(s.output_w for s in supplies if s.output_w is not None)
    both = [s for s in supplies if s.input_w is not None and s.output_w is not None]
    if control.watts is None or not both or inputs < outputs * 1.03:
        return control
    tolerance = max(2.0, 0.01 * control.watts)
    if abs(control.watts - inputs) <= tolerance:
        return replace(control, side="ac")
    if abs(control.watts - outputs) <= tolerance:
        return replace(control, side="dc")
    return control


def _is_sum(watts: float | None, supplies: list[Supply]) -> bool:
    """Whether a value is the sum of all supplies, input or output, to 2 percent."""
    sums = (sum(s.input_w or 0.0 for s in supplies), sum(s.output_w or 0.0 for s in supplies))
    return watts is not None and any(abs(watts - total) <= 0.02 * total for total in sums if total > 0)


def parse_pointer(document: Any, path: str, pointer: str) -> Candidate:
    """Return a vendor's value at ``pointer``; without watts when there is none.

    Raises:
        BmcDataError: It is malformed.
    """
    parent, _, key = pointer.rpartition("/")
    holder = at(as_object(document, path), parent)
    watts = plausible_watts(holder, key, f"{path}: {parent}") if isinstance(holder, dict) else None
    return Candidate(watts, "oem")


def parse_environment(document: Any, path: str) -> tuple[Candidate | None, str | None]:
    """Return the total of an EnvironmentMetrics resource, and the sensor to follow if it only names one.

    Raises:
        BmcDataError: The reading is malformed.
    """
    body = as_object(document, path)
    value = body.get("PowerWatts")
    if value is None:
        return None, None
    watts, follow = excerpt(body, "PowerWatts", path)
    source = data_source(value) or ""
    side = "dc" if "hsc" in source.rpartition("/")[2].lower() else "unknown"
    return Candidate(watts, "environment_metrics", side), follow


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor.

    Args:
        name: Its name.
        measures_watts: Whether its unit says that it measures power.
        context: PhysicalContext in lower case.
        candidate: Its value.
    """

    name: str
    measures_watts: bool
    context: str
    candidate: Candidate


def parse_sensor(document: Any, path: str) -> Sensor:
    """Return the sensor in ``document``; the unit decides whether it measures power, not the type.

    Lenovo XCC gives power as ReadingType Current with ReadingUnits Watts, and states such as ``Host Power``
    as ReadingType Power with an empty unit. Without any unit the type counts (DGX H100, Gigabyte).

    Raises:
        BmcDataError: The reading is malformed.
    """
    body = as_object(document, path)
    unit = body.get("ReadingUnits")
    factor = _WATTS.get(unit.strip().lower()) if isinstance(unit, str) else None
    if unit is None and text(body, "ReadingType") == "Power":
        factor = 1.0
    watts = None if is_absent(body) else number(body, "Reading", path) if factor else None
    if watts is not None and factor is not None:
        watts *= factor
        watts = watts if quirks.is_plausible(watts) else None
    accuracy = lenient_number(body, "Accuracy")
    return Sensor(
        name=text(body, "Name") or "",
        measures_watts=factor is not None,
        context=(text(body, "PhysicalContext") or "").lower(),
        candidate=Candidate(
            watts,
            "sensor",
            window_s=duration_s(body.get("AveragingInterval")),
            refresh_s=duration_s(body.get("SensingInterval")) or None,
            accuracy_pct=accuracy if accuracy and accuracy > 0 else None,
        ),
    )


class Extras(NamedTuple):
    """What stands beside a total; None is unknown.

    Args:
        cap_w: Power cap.
        psu_count: Supplies that are there.
        psu_capacity_w: What they are rated for together.
    """

    cap_w: float | None = None
    psu_count: int | None = None
    psu_capacity_w: float | None = None


def parse_extras(document: Any) -> Extras:
    """Return what a Power or EnvironmentMetrics resource tells; the latter never knows of supplies."""
    if not isinstance(document, dict):
        return Extras()
    entries = members(document.get("PowerControl"))
    cap_w = lenient_watts(sub_object(entries[0], "PowerLimit"), "LimitInWatts") if entries else None
    limit = sub_object(document, "PowerLimitWatts")
    if cap_w is None and (text(limit, "ControlMode") or "").lower() != "disabled":
        # Its Reading is what is drawn: 587 W beside a limit of 5600 on a DGX H100.
        cap_w = lenient_watts(limit, "SetPoint")
    supplies = [supply for _, supply in bays(document)]
    return Extras(cap_w or None, len(supplies) or None, capacity_w(supplies))
