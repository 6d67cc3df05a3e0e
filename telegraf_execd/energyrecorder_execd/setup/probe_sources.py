"""What stands side by side on one BMC: every power value of its answers, every source of IPMI (pure)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from energyrecorder_execd.readers.fast_meter import has_records
from energyrecorder_execd.readers.ipmi import Sighting
from energyrecorder_execd.readers.json_values import members

_POWER_KEYS = frozenset(
    {"PowerConsumedWatts", "AverageConsumedWatts", "PowerInputWatts", "PowerOutputWatts", "TotalPower"}
    | {"LastPowerOutputWatts", "ChassisPowerConsumption", "PresentPower"}
)
_WATTS = frozenset({"w", "watt", "watts"})
_EXCERPTS = frozenset({"PowerWatts", "InputPowerWatts", "OutputPowerWatts"})
_FEWEST_CHANGES = 3


class Sampled(Protocol):
    """A value and when it was read."""

    @property
    def watts(self) -> float | None:
        """Power; None if there was none."""

    @property
    def sampled_at_ns(self) -> int:
        """When, nanoseconds since the Unix epoch, UTC."""


@dataclass(frozen=True, slots=True)
class IpmiSource:
    """One source of power of an IPMI BMC; None is unknown.

    Args:
        name: What it is, for people.
        watts: The last value.
        refresh_s: Measured period between new values; None when there were too few.
        statistics_s: Period of the BMC's own average, least and greatest value.
        quantum_w: Step of the values.
        latency_ms: Median time to answer.
        privilege: Level with which it was asked.
        problem: Why there is no value.
    """

    name: str
    watts: float | None
    refresh_s: float | None
    statistics_s: float | None
    quantum_w: float | None
    latency_ms: float | None
    privilege: str
    problem: str


def power_values(documents: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Yield where each value that is called a power stands, and the value; for people to compare."""
    for path, document in documents.items():
        yield from _values(document, path)


def _values(value: Any, where: str) -> Iterator[tuple[str, float | None]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, f"{where}/{index}")
        return
    if not isinstance(value, dict):
        return
    in_watts = str(value.get("ReadingUnits", "")).lower() in _WATTS
    if "Reading" in value and (in_watts or value.get("ReadingType") == "Power"):
        yield f"{where}#Reading", _number(value["Reading"])
    if has_records(value):
        # An iLO's meter: of its many records the newest one.
        records = members(value["PowerDetail"])
        newest = max(records, key=lambda one: str(one.get("Time")), default={})
        yield f"{where}#PowerDetail", _number(newest.get("Average"))
        return
    for key, item in value.items():
        if key in _POWER_KEYS and not isinstance(item, (dict, list)):
            yield f"{where}#{key}", _number(item)
        elif key in _EXCERPTS and isinstance(item, dict) and "Reading" in item:
            yield f"{where}#{key}", _number(item["Reading"])
        else:
            yield from _values(item, f"{where}#{key}")


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def refresh_s(readings: Sequence[Sampled]) -> float | None:
    """Return the median time between changes of the value; None with fewer than three changes."""
    changes = [
        later.sampled_at_ns
        for earlier, later in pairwise(readings)
        if later.watts is not None and later.watts != earlier.watts
    ]
    if len(changes) < _FEWEST_CHANGES:
        return None
    return round(statistics.median(b - a for a, b in pairwise(changes)) / 1e9, 2)


def side_by_side(rounds: Sequence[Sequence[Sighting]], privilege: str) -> list[IpmiSource]:
    """Return each source of an IPMI BMC as it was seen in several rounds.

    Args:
        rounds: What all sources showed, in order of time.
        privilege: Level that the session was asked for.
    """
    seen: dict[str, list[Sighting]] = {}
    for sighting in (sighting for found in rounds for sighting in found):
        seen.setdefault(sighting.name, []).append(sighting)
    return [_ipmi_source(name, sightings, privilege) for name, sightings in seen.items()]


def _ipmi_source(name: str, sightings: Sequence[Sighting], privilege: str) -> IpmiSource:
    last = sightings[-1]
    answered = [one for one in sightings if one.sampled_at_ns]
    latency_s = statistics.median(one.latency_s for one in answered) if answered else None
    return IpmiSource(
        name,
        last.watts,
        refresh_s(answered),
        last.statistics_s,
        last.quantum_w,
        None if latency_s is None else round(latency_s * 1000, 1),
        f"more than {privilege}" if last.reason == "privilege" else privilege,
        last.why,
    )
