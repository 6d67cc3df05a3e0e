"""What is known of single vendors, models and firmwares.

Here and in `quirk_places` (vendors' own places for power) alone that knowledge stands.

Each row says what it matches, what follows from it, and where it was seen: a fixture of ``tests/testcases``,
or a public report. Readers ask this table; no other code names a vendor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PLAUSIBLE_W = 100_000.0
"""A reading above this is no reading: three times the largest power shelf that was captured (33 kW)."""

NO_READING_W = 65_535.0
"""Sixteen bits all set are how firmware writes that it has no value: thresholds of an HPE after an update
(check_redfish#178), FFFFh of DCMI. No computer draws just that."""

COMPONENT_CHASSIS = frozenset({"card", "module", "component", "zone", "expansion", "sidecar"})
"""Chassis types (lower case) that are parts of a computer; metered ones count only if nothing else is.

NVIDIA DGX H100 (HGX_Chassis_0, a Zone, is the GPU tray: 825 of 1950 W), Supermicro SYS-821GE (UBB_1);
against them Intel S2600BPB, whose only power resource is at the Card ``RackMount/Baseboard``.
"""

ENCLOSURE_CHASSIS = frozenset({"enclosure", "storageenclosure", "multinode", "rack"})
"""Chassis types (lower case) that may be shared by several computers: never billed to one of them."""

FED_CHASSIS = frozenset({"blade", "sled"})
"""Chassis types (lower case) that are fed by an enclosure: supplies that one of them lists are not its own.

Dell C6420 and C6615 call themselves Sled: 53 of 378 W, 80 of 420 W."""

FED_SHARE = 0.5
"""A total below this share of what its supplies deliver is not all that they feed: 176 of 755 W (Supermicro
X10DFF), 80 of 393 W (Dell C6615). The efficiency of the supplies never explains as much."""

TOTAL_CONTEXTS = frozenset({"chassis", "intake"})
"""Values of PhysicalContext (lower case) that a total has besides none."""

BOARD_CONTEXTS = frozenset({"systemboard", "system"})
"""Values of PhysicalContext (lower case) of a total where no entry has one of the former: beside such a one,
a board is only what the supplies feed, without fans and drives."""

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

NO_PART = re.compile(r"[EI]RoT", re.IGNORECASE)
"""Names of chassis that only guard a part: HGX_ERoT_GPU_SXM_6 of a DGX H100, HGX_IRoT_GPU_0 of a GB200."""

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
        fixture: Folder below ``tests/testcases`` that shows it; empty: a captured set that is not shipped.
    """

    sensor_id: re.Pattern[str]
    name: re.Pattern[str] | None
    side: str
    seen: str
    fixture: str


def _sensor(sensor_id: str, side: str, seen: str, fixture: str, *, name: str | None = None) -> TotalSensor:
    named = None if name is None else re.compile(name, re.IGNORECASE)
    return TotalSensor(re.compile(sensor_id, re.IGNORECASE), named, side, seen, fixture)


TOTAL_SENSORS: tuple[TotalSensor, ...] = (
    _sensor(r"total_power_in", "ac", "Delta power shelf 33 kW", "redfish/delta-power-shelf-33kw"),
    _sensor(r"chassis_input_power", "ac", "Lite-On power shelf", "redfish/liteon-powershelf-33kw"),
    _sensor(r"PWR_SYSTEM", "unknown", "NVIDIA DGX H100, BMC 23.11.20", "redfish/nvidia-dgx-h100-23.11"),
    _sensor(
        r"(?:Chassis_\d+_)?TotalHSC_Power(?:_\d+)?",
        "dc",
        "NVIDIA GB200 NVL 24.12: sum of the hot-swap controllers",
        "redfish/nvidia-gb200-24.12",
    ),
    _sensor(
        r"ChassisVoltageRegulator\d+InputPower",
        "dc",
        "Cray EX235a, EX235n",
        "redfish/cray-ex235n",
        name=r"Node",
    ),
    _sensor(
        r"total_?power(?:_\d+)?",
        "unknown",
        "OpenBMC total_power; DMTF mockup TotalPower",
        "redfish/openbmc-total-power",
    ),
    _sensor(
        r"power_Sys_Power|Sys_?Power",
        "unknown",
        "Lenovo XCC3 (pyghmi)",
        "redfish/lenovo-sr650v4-xcc3-sensors",
    ),
    _sensor(
        r"SystemBoardPwrConsumption",
        "unknown",
        "Dell R750 iDRAC9 6.00: 600 W beside 614 W, coarser",
        "redfish/dell-r750-idrac9-6.00",
    ),
    _sensor(
        r"Power(?:[_ ]?Consumption(?:[_ ]?Monitor)?)?",
        "unknown",
        "Gigabyte H262-Z63 fw 12.84: 196 W beside 100 W in PowerControl",
        "redfish/gigabyte-h262-z63-12.84",
        name=r"Power Consumption.*",
    ),
)
"""In order of preference."""

SUPPLY_SENSORS: tuple[TotalSensor, ...] = (
    _sensor(
        r"Rectifier\d+InputPower",
        "ac",
        "Cray EX chassis controller (CMM): four rectifiers, no total",
        "redfish/cray-cmm-rectifiers",
    ),
    _sensor(
        r"ps\d+_input_power",
        "ac",
        "Delta 33 kW: 1753 W, their sum, beside total_power_in 1749; Lite-On",
        "redfish/delta-power-shelf-33kw",
    ),
    _sensor(
        r"(?:power_)?psu?\d+_input_power",
        "ac",
        "OpenBMC: there while the host is off, when total_power is not (ibm-openbmc#3620)",
        "redfish/openbmc-off-supplies",
    ),
)
"""Sensors that show the input of one supply each: added up where nothing shows the total."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How often a source is renewed and over what time it averages, where that is known.

    Args:
        vendor: Who; likewise ``model``.
        source: One of `energyrecorder.schema.SOURCES`.
        refresh_s: Period of renewal; None unknown.
        window_s: Averaging window; None unknown.
        seen: Evidence.
        fixture: Folder below ``tests/testcases`` that shows it; empty: evidence that is not shipped.
    """

    vendor: str
    model: str
    source: str
    refresh_s: float | None
    window_s: float | None
    seen: str
    fixture: str


TIMINGS: tuple[Timing, ...] = (
    Timing(
        "HPE",
        "iLO 4, 5, 6: FastPowerMeter",
        "ilo_fast_meter",
        10.0,
        10.0,
        "120 records 10 s apart, now and then 11 s (five iLO 5 2.46 captures)",
        "ilo/hpe-dl325-gen10-ilo5-2.46",
    ),
    Timing(
        "HPE",
        "iLO 4, 5, 6: PowerMeter, back-fill beyond 20 minutes",
        "oem",
        None,
        300.0,
        "288 records, 302 s apart (300 to 310) in five iLO 5 2.46 captures",
        "",
    ),
    Timing(
        "AMI",
        "MegaRAC: average only",
        "power_control",
        None,
        5.0,
        "IntervalInMin 0.083 beside AverageConsumedWatts (gofish#99)",
        "redfish/ami-megarac-average",
    ),
)
"""Elsewhere the period is what the BMC declares (``SensingInterval``) or what its readings teach."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows from the rows that match one BMC.

    Args:
        supply_input_is_rating: ``PowerInputWatts`` of a PSU is its rating, not a reading.
        supplies_are_shared: The supplies feed several computers, so their sum is nobody's power.
        control_includes_share: PowerControl holds a share of the enclosure besides the node's own power, so
            the node's power is read from the enclosure's resource (`quirk_places.OEM_NODES`) or not at all.
        refresh_s: Period at which the reading is renewed; None unknown.
        window_s: Averaging window of the reading; None unknown.
    """

    supply_input_is_rating: bool = False
    supplies_are_shared: bool = False
    control_includes_share: bool = False
    refresh_s: float | None = None
    window_s: float | None = None

    def joined(self, known: Effects) -> Effects:
        """Return what follows from either; of two periods its own."""
        return Effects(
            self.supply_input_is_rating or known.supply_input_is_rating,
            self.supplies_are_shared or known.supplies_are_shared,
            self.control_includes_share or known.control_includes_share,
            known.refresh_s if self.refresh_s is None else self.refresh_s,
            known.window_s if self.window_s is None else self.window_s,
        )


@dataclass(frozen=True, slots=True)
class Quirk:
    """One row: what it matches and what follows; an empty pattern matches anything.

    Args:
        vendor: Pattern found in the manufacturer.
        model: Pattern found in the model.
        firmware: Pattern found in the firmware version of the BMC.
        effects: What follows.
        seen: Where.
        fixture: Folder below ``tests/testcases`` that shows it.
    """

    vendor: str
    model: str
    firmware: str
    effects: Effects
    seen: str
    fixture: str


QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        vendor=r"^Dell",
        model="",
        firmware=r"^[12]\.",
        effects=Effects(supply_input_is_rating=True),
        seen="iDRAC7/8: PowerInputWatts is the rating, 900 of a 750-W PSU (telegraf#9575, idrac_exporter#3)",
        fixture="redfish/dell-m630-idrac8-2.41",
    ),
    Quirk(
        vendor=r"^Supermicro",
        model=r"^X10DFF",
        firmware="",
        effects=Effects(supplies_are_shared=True),
        seen="FatTwin X10DFF-CTG fw 3.25: supplies 755 W, this node 176 W",
        fixture="redfish/supermicro-x10dff-3.25",
    ),
    Quirk(
        vendor=r"^Dell",
        model=r"C6420",
        firmware="",
        effects=Effects(supplies_are_shared=True),
        seen="C6420: this sled 53 W, the enclosure's two supplies 378 W (hwbench fixture)",
        fixture="redfish/dell-c6420-sled",
    ),
    Quirk(
        vendor=r"^Dell",
        model=r"C66\d\d",
        firmware="",
        effects=Effects(supplies_are_shared=True),
        seen="C6615 in a C6600: this sled 80 W, the supplies are the enclosure's (hwbench fixture)",
        fixture="redfish/dell-c6615-sled",
    ),
    Quirk(
        vendor=r"^HPE?$",
        model=r"XL(?:170r|190r|220n|225n|230k|290n)",
        firmware="",
        effects=Effects(supplies_are_shared=True, control_includes_share=True),
        seen="Apollo 2000: PowerControl 116 W is the node (75 W) and a share of the chassis (hwbench)",
        fixture="redfish/hpe-xl225n-apollo2000",
    ),
    Quirk(
        vendor=r"^Supermicro",
        model=r"^X10DRT",
        firmware="",
        effects=Effects(supplies_are_shared=True),
        seen="Twin fw 3.80: PowerConsumedWatts 915 is the sum of the shared supplies, not the node",
        fixture="redfish/supermicro-x10-twin-3.80",
    ),
)


def is_plausible(watts: float) -> bool:
    """Whether this may be the power of a computer, or of all that a shelf feeds."""
    return 0 <= watts <= MAX_PLAUSIBLE_W and watts != NO_READING_W


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
        control_includes_share=any(row.control_includes_share for row in rows),
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


def is_supply_sensor(sensor_id: str) -> bool:
    """Whether a sensor, known by the last part of its path, shows the input of one supply."""
    return any(row.sensor_id.fullmatch(sensor_id) is not None for row in SUPPLY_SENSORS)
