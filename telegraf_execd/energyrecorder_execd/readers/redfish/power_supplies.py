"""Understands power supplies, each by itself: in a Power resource or with metrics of its own (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.readers.json_values import (
    Json,
    as_object,
    at,
    lenient_number,
    members,
    sub_object,
    text,
)
from energyrecorder_execd.readers.redfish.resources import is_absent
from energyrecorder_execd.readers.redfish.watts import excerpt, plausible_watts


@dataclass(frozen=True, slots=True)
class Supply:
    """One power supply that is there.

    Args:
        input_w: Power drawn from the mains; None: no reading.
        output_w: Power delivered; None: no reading.
        input_from: Path of the sensor to follow for ``input_w``; likewise ``output_from``.
        at_mains: It shows the voltage of its mains, so it draws power, whether it shows that or not. Two
            empty bays of a Supermicro SYS-821GE are ``Enabled``, and show neither.
    """

    input_w: float | None = None
    output_w: float | None = None
    input_from: str | None = None
    output_from: str | None = None
    at_mains: bool = False

    def figure_w(self, source: str) -> float | None:
        """Return its part of ``psu_input_sum`` or of ``psu_output_sum``; None: no reading."""
        return self.input_w if source == "psu_input_sum" else self.output_w

    def is_missing(self, source: str) -> bool:
        """Whether that sum lacks it: it shows no part, but its mains, or its other figure, so it works."""
        other = self.output_w or self.output_from
        if source == "psu_output_sum":
            other = self.input_w or self.input_from
        return self.figure_w(source) is None and (self.at_mains or bool(other))


def parse_supplies(document: Any, path: str, effects: quirks.Effects) -> list[Supply]:
    """Return the power supplies of a Power resource that are there.

    Raises:
        BmcDataError: A reading is malformed.
    """
    found = []
    for place, item in bays(as_object(document, path)):
        where = f"{path}: PowerSupplies/{place - 1}"
        output_w = plausible_watts(item, "PowerOutputWatts", where)
        if output_w is None:
            output_w = plausible_watts(item, "LastPowerOutputWatts", where)
        input_w = None if effects.supply_input_is_rating else _supply_input(item, where)
        at_mains = bool(lenient_number(item, "LineInputVoltage"))
        found.append(Supply(input_w, output_w, at_mains=at_mains))
    return found


def bays(power: Json) -> list[tuple[int, Json]]:
    """Return the supplies of a Power resource that are there, each once, with their place in the list from 1.

    An HPE Apollo 4510 lists its four supplies twice (check_redfish#114): the same but for their place.
    """
    found: list[tuple[int, Json]] = []
    by_serial: dict[str, Json] = {}
    for place, item in enumerate(members(power.get("PowerSupplies")), start=1):
        serial = text(item, "SerialNumber")
        twin = None if serial is None else by_serial.setdefault(serial, item)
        repeated = twin is not None and twin is not item and _but_for_place(twin) == _but_for_place(item)
        if not is_absent(item) and not repeated:
            found.append((place, item))
    return found


def _but_for_place(item: Json) -> Json:
    return {key: value for key, value in item.items() if key not in {"@odata.id", "MemberId"}}


def _supply_input(item: Json, where: str) -> float | None:
    watts = plausible_watts(item, "PowerInputWatts", where)
    if watts is None:
        for row in quirk_places.OEM_SUPPLY_INPUTS:
            parent, _, key = row.pointer.rpartition("/")
            holder = at(item, parent)
            if isinstance(holder, dict):
                watts = plausible_watts(holder, key, where)
    capacity = lenient_number(item, "PowerCapacityWatts")
    # More than the supply can draw at full load is its rating (Dell R640: 900 W of a 750-W supply).
    return None if watts and capacity and watts > 1.15 * capacity else watts


def parse_supply_metrics(document: Any, path: str) -> Supply:
    """Return the power supply in a PowerSupplyMetrics resource.

    Raises:
        BmcDataError: A reading is malformed.
    """
    body = as_object(document, path)
    input_w, input_from = excerpt(body, "InputPowerWatts", path)
    output_w, output_from = excerpt(body, "OutputPowerWatts", path)
    at_mains = bool(lenient_number(sub_object(body, "InputVoltage"), "Reading"))
    return Supply(input_w, output_w, input_from, output_from, at_mains)
