"""Which sensor of which manufacturer is the power of the whole server: one table, and the choice from it.

The original project's table (bherard/energyrecorder, ten manufacturers) is carried over and extended. Two
rules bind whatever the table says: only sensors in plain watts count, and a total is never added to others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from energyrecorder_execd.readers.ipmi.sdr import Sensor


@dataclass(frozen=True, slots=True)
class Names:
    """Sensors that mean the same.

    Args:
        pattern: What the whole id string looks like; case does not matter.
        side: Side of the power supply they measure: ``ac``, ``dc`` or ``unknown``.
        distinct: Whether the name means the same on a BMC of any other manufacturer.
    """

    pattern: str
    side: str = "unknown"
    distinct: bool = True


@dataclass(frozen=True, slots=True)
class Grammar:
    """One manufacturer's sensors.

    Args:
        iana: Enterprise number that the BMC reports.
        vendor: Name for people.
        totals: Sensors of the whole server, best first; the first one found is taken alone.
        parts: Sensors that add up to the whole server where there is no total.
        evidence: Where the names were seen.
    """

    iana: int
    vendor: str
    totals: tuple[Names, ...] = ()
    parts: tuple[Names, ...] = ()
    evidence: str = ""


_ORIGINAL = "original energyrecorder's table"

GRAMMARS = (
    Grammar(11, "HPE", totals=(Names("Power Meter"),), evidence=f"{_ORIGINAL}; ProLiant issue threads"),
    Grammar(
        119,
        "NEC",
        evidence="Express5800 vendor manual: no sensor, watts by an OEM command only",
    ),
    Grammar(
        343,
        "Intel",
        parts=(Names(r"PS.*Input Power", "ac"),),
        evidence=f"{_ORIGINAL}; S2600 boards, also sold by Nokia and NEC; an absent supply reads 0",
    ),
    Grammar(
        674,
        "Dell",
        totals=(Names("Pwr Consumption"), Names("System Level", distinct=False)),
        evidence=f"{_ORIGINAL}; System Level: PowerEdge R710, ateodorescu/home-assistant-ipmi issue 27",
    ),
    Grammar(
        2011,
        "Huawei",
        totals=(Names("Power", distinct=False),),
        parts=(Names(r"Power ?[0-9]+", distinct=False),),
        evidence=_ORIGINAL,
    ),
    Grammar(
        5703,
        "NVIDIA",
        totals=(Names("PWR_SYSTEM"),),
        parts=(Names(r"PWR_PSU[0-9]+"),),
        evidence="DGX H100, names as its Redfish service shows them",
    ),
    Grammar(
        5771,
        "Cisco",
        totals=(Names("POWER_USAGE"),),
        evidence=f"{_ORIGINAL}; UCS refuses DCMI with C1h, ipmi_exporter issue 1",
    ),
    Grammar(
        7244,
        "Quanta",
        totals=(Names("PSU Input Power", "ac"), Names("HSC Input Power", "dc")),
        evidence="known names, not seen by us",
    ),
    Grammar(10297, "Advantech", totals=(Names("BOARD_POWER"),), evidence=_ORIGINAL),
    Grammar(
        10368,
        "Fujitsu",
        totals=(Names("Total Power"),),
        parts=(Names(r"PSU[0-9]+ Power", distinct=False),),
        evidence="known names, not seen by us",
    ),
    Grammar(
        10876,
        "Supermicro",
        totals=(Names("PW Consumption"),),
        evidence="some GPU boards (issue threads); most boards have DCMI only",
    ),
    Grammar(
        15370,
        "Gigabyte",
        totals=(Names("SYS_POWER"),),
        evidence="sensor E8h in an issue thread",
    ),
    Grammar(
        19046,
        "Lenovo",
        totals=(Names("Sys Power"),),
        parts=(Names(r"PSU[0-9]+ AC In Pwr", "ac"),),
        evidence=f"{_ORIGINAL}; XCC names as its Redfish service shows them",
    ),
    Grammar(
        20301,
        "IBM",
        totals=(Names("Avg Power"),),
        parts=(Names(r"PS[0-9]+ Power In", "ac"),),
        evidence=f"{_ORIGINAL}; System x issue threads",
    ),
    Grammar(
        25506,
        "H3C",
        totals=(Names("Total_Power"),),
        parts=(Names(r"PSU[0-9]+_PIN", "ac"),),
        evidence="known names, not seen by us",
    ),
    Grammar(
        28458,
        "Nokia",
        totals=(Names("HSC Input Power", "dc"),),
        evidence=f"{_ORIGINAL}; AirFrame",
    ),
    Grammar(
        37945,
        "Inspur",
        totals=(Names("Total_Power"),),
        parts=(Names(r"PSU[0-9]+_PIN", "ac"),),
        evidence="known names, not seen by us",
    ),
    Grammar(
        40092,
        "Wiwynn",
        totals=(Names("HSC Input Power", "dc"),),
        evidence=f"{_ORIGINAL}, which calls the manufacturer Lenovo",
    ),
    Grammar(
        49871,
        "OpenBMC",
        totals=(Names("total_power"),),
        parts=(Names(r"PSU[0-9]+_PINPUT", "ac"),),
        evidence="Ampere Mt. Jade configuration",
    ),
)

_BY_IANA = {grammar.iana: grammar for grammar in GRAMMARS}
_ALL_TOTALS = tuple(
    dict.fromkeys(names for grammar in GRAMMARS for names in grammar.totals if names.distinct)
)
_ALL_PARTS = tuple(dict.fromkeys(names for grammar in GRAMMARS for names in grammar.parts if names.distinct))


@dataclass(frozen=True, slots=True)
class Choice:
    """The sensors whose readings make up the power of the server.

    Args:
        sensors: One total, or parts to add up; never empty.
        side: Side of the power supply they measure.
    """

    sensors: tuple[Sensor, ...]
    side: str


def vendor_name(manufacturer: int) -> str | None:
    """Return the manufacturer's name for people; None if the table does not have it."""
    grammar = _BY_IANA.get(manufacturer)
    return None if grammar is None else grammar.vendor


def choose(sensors: Sequence[Sensor], manufacturer: int, pattern: str | None = None) -> Choice | None:
    """Return the sensors to read; None if none of them is known to be the server's power.

    A manufacturer's own names come first, then the distinct ones of all: boards carry the number of whoever
    built the BMC's firmware.

    Args:
        sensors: All sensors of the repository, in its order.
        manufacturer: IANA enterprise number that the BMC reports.
        pattern: Regular expression for id strings that replaces the table; all that match are added up.
    """
    watts = [sensor for sensor in sensors if sensor.in_watts]
    if pattern is not None:
        return _first(watts, (), (Names(pattern),))
    own = _BY_IANA.get(manufacturer)
    chosen = _first(watts, own.totals, own.parts) if own is not None else None
    return chosen or _first(watts, _ALL_TOTALS, _ALL_PARTS)


def _first(watts: Sequence[Sensor], totals: Sequence[Names], parts: Sequence[Names]) -> Choice | None:
    for names in totals:
        if found := _matching(watts, names):
            return Choice(found[:1], names.side)
    for names in parts:
        if found := _matching(watts, names):
            return Choice(found, names.side)
    return None


def _matching(watts: Sequence[Sensor], names: Names) -> tuple[Sensor, ...]:
    pattern = re.compile(names.pattern, re.IGNORECASE)
    return tuple(sensor for sensor in watts if pattern.fullmatch(sensor.name))
