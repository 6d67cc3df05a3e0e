"""Finds the temperature of the air that goes into a computer (pure but for the walk that asks)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from energyrecorder_execd.readers.json_values import Json, lenient_number, link, members, sub_object, text
from energyrecorder_execd.readers.redfish.resources import Chassis, is_absent
from energyrecorder_execd.readers.redfish.walk import Walk

_INLET = re.compile(r"\b(?:inlet|intake|ambient)\b", re.IGNORECASE)
MAX_CHASSIS = 3
"""Chassis that are looked at; air goes in at one of the first, if any says so."""

_PLAUSIBLE_C = (-40.0, 100.0)


async def find_inlet(walk: Walk, chassis: Sequence[Chassis]) -> str | None:
    """Return the path of the first resource that tells the inlet temperature; None if none does.

    Args:
        walk: The BMC.
        chassis: Where to look, in this order.
    """
    for one in chassis[:MAX_CHASSIS]:
        subsystem = await walk.get(one.thermal_subsystem)
        metrics = link(subsystem, "ThermalMetrics") if isinstance(subsystem, dict) else None
        for path in (metrics, one.thermal):
            if path is not None and inlet_c(await walk.get(path)) is not None:
                return path
    return None


def inlet_c(document: Any) -> float | None:
    """Return the inlet temperature that a Thermal or ThermalMetrics resource tells, °C; None if it does not.

    Known by PhysicalContext ``Intake``, else by name: Dell's ``System Board Inlet Temp`` says SystemBoard.
    """
    if not isinstance(document, dict):
        return None
    summary = sub_object(sub_object(document, "TemperatureSummaryCelsius"), "Intake")
    listed = [entry for entry in members(document.get("Temperatures")) if not is_absent(entry)]
    by_context = [entry for entry in listed if (text(entry, "PhysicalContext") or "").lower() == "intake"]
    by_name = [entry for entry in listed if _INLET.search(text(entry, "Name") or "")]
    for entry in (summary, *by_context, *by_name):
        shown_c = _celsius(entry)
        if shown_c is not None:
            return shown_c
    return None


def _celsius(entry: Json) -> float | None:
    shown_c = lenient_number(entry, "Reading" if "Reading" in entry else "ReadingCelsius")
    low, high = _PLAUSIBLE_C
    # 0 is what a sensor shows that has not measured yet.
    return shown_c if shown_c and low <= shown_c <= high else None
