"""What is known of single vendors, models and firmwares: the only place where that knowledge stands.

Each row says what it matches, what follows from it, and where it was seen: a fixture of ``tests/testcases``,
or a public report. Readers ask this table; no other code names a vendor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PLAUSIBLE_W = 100_000.0
"""A reading above this is no reading: three times the largest power shelf that was captured (33 kW)."""

COMPONENT_CHASSIS = frozenset({"card", "module", "component", "zone", "expansion", "sidecar"})
"""Chassis types (lower case) that are parts of a computer; metered ones count only if nothing else is.

NVIDIA DGX H100 (HGX_Chassis_0, a Zone, is the GPU tray: 825 of 1950 W), Supermicro SYS-821GE (UBB_1);
against them Intel S2600BPB, whose only power resource is at the Card ``RackMount/Baseboard``.
"""

ENCLOSURE_CHASSIS = frozenset({"enclosure", "storageenclosure", "multinode", "rack"})
"""Chassis types (lower case) that may be shared by several computers: never billed to one of them."""

TOTAL_CONTEXTS = frozenset({"chassis", "intake", "systemboard", "system", "powersupply"})
"""Values of PhysicalContext (lower case) that a total may have besides none."""

PART_CONTEXTS = frozenset(
    {
        "cpu",
        "cpusubsystem",
        "gpu",
        "gpusubsystem",
        "accelerator",
        "memory",
        "memorysubsystem",
        "fan",
        "storagedevice",
    }
)
"""Values of PhysicalContext (lower case) that a total sensor never has: HGX_Chassis_0_TotalHSC_Power_0 of a
DGX H100 is the GPU tray and says GPUSubsystem."""

PART_NAME = re.compile(
    r"\b(?:cpu|processors?|gpu|memory|mem|dimm|fans?|drive|storage|pcie?|nic|sub-?system)\d*\b",
    re.IGNORECASE,
)
"""Names of PowerControl entries that are a part of the first one although no PhysicalContext says so:
``CPU Sub-system Power`` (Lenovo XCC), ``Processors``, ``Processor0`` (Dell iDRAC9, hwbench PR 108)."""

SUBASSEMBLY_SYSTEM = re.compile(r"HGX_Baseboard|_Baseboard_\d+$", re.IGNORECASE)
"""Ids of Systems members that are no computer of their own: the GPU board of NVIDIA DGX H100 and GB200."""

RACK_SHELF = re.compile(r"power.?shelf", re.IGNORECASE)
"""Id or name of a chassis that feeds a rack: Delta 33 kW ``PowerShelf_0``, Lite-On ``powershelf``."""

SHORT_WINDOW_MIN = 1.0
"""``PowerMetrics.AverageConsumedWatts`` over at most this many minutes stands in for a missing
``PowerConsumedWatts``: AMI MegaRAC gives only the average over 0.083 min (gofish#99)."""


@dataclass(frozen=True, slots=True)
class TotalSensor:
    """A sensor that shows the power of the whole computer.

    Args:
        sensor_id: Full match of its id, the last part of its path; case is ignored.
        name: Full match of its name; None means any.
        side: ``ac``, ``dc`` or ``unknown``.
        seen: Where.
    """

    sensor_id: re.Pattern[str]
    name: re.Pattern[str] | None
    side: str
    seen: str


def _sensor(sensor_id: str, side: str, seen: str, *, name: str | None = None) -> TotalSensor:
    named = None if name is None else re.compile(name, re.IGNORECASE)
    return TotalSensor(re.compile(sensor_id, re.IGNORECASE), named, side, seen)


TOTAL_SENSORS: tuple[TotalSensor, ...] = (
    _sensor(r"total_power_in", "ac", "Delta power shelf 33 kW"),
    _sensor(r"chassis_input_power", "ac", "power shelves; no fixture yet"),
    _sensor(r"PWR_SYSTEM", "unknown", "NVIDIA DGX H100, BMC 23.11.20"),
    _sensor(
        r"(?:Chassis_\d+_)?TotalHSC_Power(?:_\d+)?",
        "dc",
        "NVIDIA GB200 NVL 24.12: sum of the hot-swap controllers",
    ),
    _sensor(r"ChassisVoltageRegulator\d+InputPower", "dc", "Cray EX235a, EX235n", name=r"Node"),
    _sensor(r"total_?power(?:_\d+)?", "unknown", "OpenBMC total_power; DMTF mockup TotalPower"),
    _sensor(r"power_Sys_Power|Sys_?Power", "unknown", "Lenovo XCC3 (pyghmi)"),
    _sensor(r"SystemBoardPwrConsumption", "unknown", "Dell R750 iDRAC9 6.00: 600 W beside 614 W, coarser"),
    _sensor(
        r"Power(?:[_ ]?Consumption(?:[_ ]?Monitor)?)?",
        "unknown",
        "Gigabyte H262-Z63 fw 12.84",
        name=r"Power Consumption.*",
    ),
)
"""In order of preference."""


@dataclass(frozen=True, slots=True)
class OemTotal:
    """A vendor's own place for the power of the whole computer, in the Power resource.

    Args:
        pointer: JSON pointer from the resource, and likewise from the first PowerControl entry.
        seen: Where.
    """

    pointer: str
    seen: str


OEM_TOTALS: tuple[OemTotal, ...] = (
    OemTotal(
        "/Oem/ts_fujitsu/ChassisPowerConsumption/CurrentPowerConsumptionW",
        "Fujitsu iRMC: PowerControl without watts (idrac_exporter#121)",
    ),
    OemTotal("/Oem/Public/TotalPower", "Inspur, IEIT, xFusion: empty PowerControl (idrac_exporter PR 174)"),
)

OEM_SUPPLY_INPUTS = ("/Oem/Huawei/PowerInputWatts", "/Oem/xFusion/PowerInputWatts")
"""Where a PSU's input power stands if not in ``PowerInputWatts``: Huawei iBMC (idrac_exporter#173)."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows from the rows that match one BMC.

    Args:
        supply_input_is_rating: ``PowerInputWatts`` of a PSU is its rating, not a reading.
        supplies_are_shared: The supplies feed several computers, so their sum is nobody's power.
        refresh_s: Period at which the reading is renewed; None unknown.
        window_s: Averaging window of the reading; None unknown.
    """

    supply_input_is_rating: bool = False
    supplies_are_shared: bool = False
    refresh_s: float | None = None
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class Quirk:
    """One row: what it matches and what follows; an empty pattern matches anything.

    Args:
        vendor: Pattern found in the manufacturer.
        model: Pattern found in the model.
        firmware: Pattern found in the firmware version of the BMC.
        effects: What follows.
        seen: Where.
    """

    vendor: str
    model: str
    firmware: str
    effects: Effects
    seen: str


QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        vendor=r"^Dell",
        model="",
        firmware=r"^[12]\.",
        effects=Effects(supply_input_is_rating=True),
        seen="iDRAC7/8: PowerInputWatts is the rating, 900 of a 750-W PSU (telegraf#9575, idrac_exporter#3)",
    ),
    Quirk(
        vendor=r"^Supermicro",
        model=r"^X10DFF",
        firmware="",
        effects=Effects(supplies_are_shared=True),
        seen="FatTwin X10DFF-CTG fw 3.25: supplies 755 W, this node 176 W (testcase supermicro-x10dff-3.25)",
    ),
    Quirk(
        vendor=r"^Dell",
        model=r"C6420",
        firmware="",
        effects=Effects(supplies_are_shared=True),
        seen="C6420: this sled 53 W, the enclosure's two supplies 378 W (hwbench fixture)",
    ),
)


def matching(vendor: str | None, model: str | None, firmware: str | None) -> Iterator[Quirk]:
    """Return the rows that match; None is matched by empty patterns only."""
    for quirk in QUIRKS:
        pairs = ((quirk.vendor, vendor), (quirk.model, model), (quirk.firmware, firmware))
        if all(not pattern or re.search(pattern, value or "", re.IGNORECASE) for pattern, value in pairs):
            yield quirk


def effects(vendor: str | None, model: str | None, firmware: str | None) -> Effects:
    """Return what follows for one BMC; of several rows with a period, the last one counts."""
    rows = [quirk.effects for quirk in matching(vendor, model, firmware)]
    return Effects(
        supply_input_is_rating=any(row.supply_input_is_rating for row in rows),
        supplies_are_shared=any(row.supplies_are_shared for row in rows),
        refresh_s=next((row.refresh_s for row in reversed(rows) if row.refresh_s is not None), None),
        window_s=next((row.window_s for row in reversed(rows) if row.window_s is not None), None),
    )


def total_sensor_rank(sensor_id: str, name: str | None = None) -> int | None:
    """Return the rank (0 is best) of the row that this sensor matches; None if it is no total.

    Args:
        sensor_id: Last part of the sensor's path.
        name: Its name; None means not known yet, then the id alone decides.
    """
    for rank, row in enumerate(TOTAL_SENSORS):
        if row.sensor_id.fullmatch(sensor_id) is None:
            continue
        if row.name is None or name is None or row.name.fullmatch(name) is not None:
            return rank
    return None
