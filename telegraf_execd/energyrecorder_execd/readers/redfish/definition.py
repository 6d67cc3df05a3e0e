"""What a BMC declares of the power that is read elsewhere: how exact, how often renewed, averaged over what.

A metric definition counts only if it names the very property that is read: there are others of peaks, of
averages and of the other side of the supplies, whose names tell little.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from energyrecorder.errors import BmcDataError
from energyrecorder_execd import quirk_places
from energyrecorder_execd.readers.json_values import Json, duration_s, lenient_number, members, text
from energyrecorder_execd.readers.redfish.parse import Candidate, is_part, parse_sensor
from energyrecorder_execd.readers.redfish.resources import data_source
from energyrecorder_execd.readers.redfish.walk import Walk


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared of a value beside it.

    Args:
        accuracy_pct: Greatest error, percent of the value; None unknown.
        refresh_s: Period of renewal; None unknown.
        window_s: Averaging window, 0 for an instant; None unknown.
    """

    accuracy_pct: float | None
    refresh_s: float | None
    window_s: float | None = None


async def find_declared(
    walk: Walk, telemetry: str | None, path: str, candidate: Candidate
) -> Declared | None:
    """Return what the sensor behind a total or the telemetry service declares of it; None: nothing.

    Args:
        walk: Through the BMC.
        telemetry: Path of the service; None if there is none.
        path: Of the total's resource, which the walk has read.
        candidate: The total.

    Raises:
        BmcError: The BMC cannot be reached, or refuses the log-in.
        WalkPausedError: The walk's requests are used up.
    """
    document = await walk.get(path)
    sensor = data_source(document.get("PowerWatts")) if isinstance(document, dict) else None
    if candidate.source == "environment_metrics" and sensor is not None:
        return declared_by_sensor(await walk.get(sensor), sensor)
    wanted = total_property(document, path, candidate)
    if telemetry is None or wanted is None:
        return None
    for row in quirk_places.METRIC_DEFINITIONS:
        document = await walk.get(f"{telemetry.rstrip('/')}/MetricDefinitions/{row.metric}")
        declared = parse_definition(document, wanted)
        if declared is not None:
            return declared
    return None


def declared_by_sensor(document: Any, path: str) -> Declared | None:
    """Return what a Sensor resource declares; None if it declares nothing or is none of watts.

    An EnvironmentMetrics resource copies a sensor's reading (DMTF DSP0268, ``DataSourceUri``), not what the
    sensor says of it.

    Args:
        document: The resource.
        path: Where it stands.
    """
    try:
        sensor = parse_sensor(document, path)
    except BmcDataError:
        return None
    shown = sensor.candidate
    declared = Declared(shown.accuracy_pct, shown.refresh_s, shown.window_s)
    return declared if sensor.measures_watts and declared != Declared(None, None) else None


def total_property(document: Any, path: str, candidate: Candidate) -> str | None:
    """Return the URI of the property in a Power resource that a total was read from; None: no single one."""
    if candidate.source != "power_control" or candidate.watts is None or not isinstance(document, dict):
        return None
    for index, entry in enumerate(members(document.get("PowerControl"))):
        if not is_part(entry) and lenient_number(entry, "PowerConsumedWatts") == candidate.watts:
            return f"{path.rstrip('/')}#/PowerControl/{index}/PowerConsumedWatts"
    return None


def parse_definition(document: Any, wanted: str) -> Declared | None:
    """Return what a MetricDefinition resource (DMTF DSP0268) declares; None if it is not of this property.

    Args:
        document: The resource.
        wanted: URI of the property.
    """
    # What is calculated may name the property that it is calculated from.
    if not isinstance(document, dict) or document.get("CalculationAlgorithm") is not None:
        return None
    if (text(document, "Units") or "W") != "W" or not _is_of(document, wanted):
        return None
    accuracy_pct = lenient_number(document, "Accuracy")
    accuracy_pct = accuracy_pct if accuracy_pct is not None and 0 < accuracy_pct <= 100 else None  # noqa: PLR2004  # percent
    refresh_s = duration_s(document.get("SensingInterval")) or None
    return None if accuracy_pct is None and refresh_s is None else Declared(accuracy_pct, refresh_s)


def completed(candidate: Candidate, declared: Declared | None) -> Candidate:
    """Return a value with what is declared of it elsewhere; what it declares itself comes first."""
    if declared is None:
        return candidate
    return replace(
        candidate,
        accuracy_pct=candidate.accuracy_pct or declared.accuracy_pct,
        refresh_s=candidate.refresh_s or declared.refresh_s,
        window_s=declared.window_s if candidate.window_s is None else candidate.window_s,
    )


def _is_of(definition: Json, wanted: str) -> bool:
    """Whether one of its properties is ``wanted``; a wildcard, such as ``{ChassisID}``, is a part of one."""
    wildcards = {
        f"{{{text(one, 'Name')}}}": _texts(one, "Values") for one in members(definition.get("Wildcards"))
    }
    ours = wanted.split("/")
    for said in _texts(definition, "MetricProperties"):
        theirs = said.strip().split("/")
        if len(theirs) == len(ours) and all(
            part == own or bool({own, "*"} & {*wildcards.get(part, ())})
            for part, own in zip(theirs, ours, strict=True)
        ):
            return True
    return False


def _texts(parent: Json, key: str) -> list[str]:
    values = parent.get(key)
    return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []
