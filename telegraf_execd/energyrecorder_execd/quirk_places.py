"""Vendors' own places for power, energy and parts: rows with pointers, and where each was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OemPlace:
    """A vendor's own place for power.

    Args:
        pointer: JSON pointer to the watts.
        seen: Where.
        fixture: Folder below ``tests/testcases`` that shows it; empty: a public report alone.
    """

    pointer: str
    seen: str
    fixture: str


OEM_TOTALS: tuple[OemPlace, ...] = (
    # MinimumPowerW, PeakPowerW and AveragePowerW stand beside it, but nothing tells over what time: they are
    # left out, as PowerMetrics without an interval are (153, 252, 184 W beside 160 W in idrac_exporter#121).
    OemPlace(
        "/Oem/ts_fujitsu/ChassisPowerConsumption/CurrentPowerConsumptionW",
        "Fujitsu iRMC: PowerControl without watts (idrac_exporter#121)",
        "redfish/fujitsu-rx2540-irmc",
    ),
    OemPlace(
        "/Oem/Public/TotalPower",
        "Inspur, IEIT, xFusion: empty PowerControl (idrac_exporter PR 174)",
        "redfish/inspur-nf5280m6",
    ),
)
"""The whole computer: pointers from the Power resource, and likewise from its first PowerControl entry."""

OEM_SUPPLY_INPUTS: tuple[OemPlace, ...] = (
    OemPlace("/Oem/Huawei/PowerInputWatts", "Huawei iBMC (idrac_exporter#173)", "redfish/huawei-2288h-ibmc"),
    OemPlace(
        "/Oem/xFusion/PowerInputWatts", "xFusion iBMC, successor of Huawei's", "redfish/xfusion-2288h-v6"
    ),
)
"""A supply's input, if not in its ``PowerInputWatts``: pointers from the entry of the supply."""


OEM_NODES: tuple[OemPlace, ...] = (
    OemPlace(
        "/Oem/Hpe/NodePowerWatts",
        "HPE Apollo 2000 XL225n: 75 W beside 116 W in PowerControl (hwbench fixture)",
        "redfish/hpe-xl225n-apollo2000",
    ),
)
"""One node without its share of the enclosure: pointers from the enclosure's own resource."""

OEM_ENCLOSURES: tuple[tuple[str, str], ...] = (
    ("/Oem/Hpe/ChassisInputPowerWatts", "ac"),
    ("/Oem/Hpe/ChassisPowerWatts", "dc"),
)
"""The enclosure around a node, with its side, best first: 350 and 315 W of the same Apollo 2000."""


@dataclass(frozen=True, slots=True)
class OemCounter:
    """A vendor's own place for cumulative energy, in a resource that the manager links to.

    Args:
        links: JSON pointer, in the manager, to the links.
        resource: Last part of the path of the resource.
        pointer: JSON pointer, in the resource, to the counter.
        joules: Joules per unit of the counter.
        seen: Where.
        fixture: Folder below ``tests/testcases`` that shows it; empty: a public report alone.
    """

    links: str
    resource: str
    pointer: str
    joules: float
    seen: str
    fixture: str


OEM_COUNTERS: tuple[OemCounter, ...] = (
    OemCounter(
        "/Links/Oem/Dell/DellAttributes",
        "System.Embedded.1",
        "/Attributes/ServerPwrMon.1.AccumulativePower",
        3600.0,
        # 3,982,394 after 11,540 h of a server with a peak of 612 W: 345 W on average if it is Wh; racadm
        # shows the same counter in kWh with three decimals (iDRAC-Redfish-Scripting#57).
        "Dell iDRAC9: AccumulativePower in Wh (public attribute dump; hwbench)",
        "redfish/dell-r760-idrac9-attributes",
    ),
)


@dataclass(frozen=True, slots=True)
class OemPart:
    """A vendor's own place for the power of a part.

    Args:
        links: JSON pointer, in the manager, to the links to the resource; empty: it is the Power resource.
        resource: Last part of the path of the resource; empty for the Power resource.
        pointer: JSON pointer, in the resource, to the watts.
        part: What the series is called.
        scope: One of `energyrecorder.schema.SCOPES`.
        seen: Where.
        fixture: Folder below ``tests/testcases`` that shows it.
    """

    links: str
    resource: str
    pointer: str
    part: str
    scope: str
    seen: str
    fixture: str


_DELL_ATTRIBUTES = ("/Links/Oem/Dell/DellAttributes", "System.Embedded.1")
_ILO_6 = "iLO 6: PowerMetric of the Power resource; 0 where there is no such part"

OEM_PARTS: tuple[OemPart, ...] = (
    OemPart(
        *_DELL_ATTRIBUTES,
        "/Attributes/ServerPwr.1.SCViewSledPwr",
        "sled",
        "enclosure",
        "Dell C6600: PowerConsumedWatts and the sled's share of the infrastructure (hwbench)",
        "redfish/dell-c6615-sled",
    ),
    OemPart(
        *_DELL_ATTRIBUTES,
        "/Attributes/SC-BMC.1.ChassisInfraPower",
        "infrastructure",
        "enclosure",
        "Dell C6600: fans and boards of the enclosure, without its sleds (hwbench)",
        "redfish/dell-c6615-sled",
    ),
    OemPart(
        "", "", "/Oem/Hpe/PowerMetric/CpuWatts", "cpu", "component", _ILO_6, "redfish/hpe-dl360-gen11-ilo6"
    ),
    OemPart(
        "",
        "",
        "/Oem/Hpe/PowerMetric/DimmWatts",
        "memory",
        "component",
        _ILO_6,
        "redfish/hpe-dl360-gen11-ilo6",
    ),
    OemPart(
        "", "", "/Oem/Hpe/PowerMetric/GpuWatts", "gpu", "component", _ILO_6, "redfish/hpe-dl360-gen11-ilo6"
    ),
)
"""Parts beside the total, never added to it; looked for only when parts are wanted."""


@dataclass(frozen=True, slots=True)
class History:
    """Averages of the total that a BMC keeps, from which a hole in what was written out is filled.

    Args:
        resource: Its path; one without a slash at its begin follows on that of the total's resource.
        records: Name of the list of records; in each of them:
        time: Name of the end of its time; likewise ``average``, and ``least`` and ``greatest`` if not empty.
        record_s: Length of a record, seconds.
        side: ``ac``, ``dc`` or ``unknown``.
        seen: Where.
        fixture: Folder below ``tests/testcases`` that shows it.
        source: One of `energyrecorder.schema.SOURCES`; never that of the total: the analysis takes window and
            spacing of the readings of one source as one.
    """

    resource: str
    records: str
    time: str
    average: str
    least: str
    greatest: str
    record_s: float
    side: str
    seen: str
    fixture: str
    source: str = "oem"


HISTORIES: tuple[History, ...] = (
    History(
        "Oem/Lenovo/HistoryPowerMeter/PsuAC",
        *("historyPower", "timeStamp", "avgPower", "minPower", "maxPower"),
        record_s=30.0,
        side="ac",
        seen="Lenovo TSM: texts for numbers, local times without a zone (vendor's manual)",
        fixture="redfish/lenovo-sr645-tsm",
    ),
    History(
        "/redfish/v1/TelemetryService/MetricReports/AvgPowerConsumptionHour",
        *("MetricValues", "Timestamp", "MetricValue", "", ""),
        record_s=300.0,
        side="unknown",
        seen="Supermicro SYS-821GE-TNHR: twelve averages over 5 minutes, texts for numbers",
        fixture="redfish/supermicro-sys821ge-x13",
    ),
    History(
        "FastPowerMeter",
        *("PowerDetail", "Time", "Average", "Minimum", "Peak"),
        record_s=10.0,
        side="unknown",
        seen="HPE iLO 4, 5, 6: 120 records 10 s apart (five iLO 5 2.46 captures)",
        fixture="redfish/hpe-dl380-gen10-meter-only",
        source="ilo_fast_meter",
    ),
    History(
        "PowerMeter",
        *("PowerDetail", "Time", "Average", "Minimum", "Peak"),
        record_s=300.0,
        side="unknown",
        seen="HPE iLO 4, 5, 6: 288 records, 302 s apart, for what the ring of 10-s records does not reach",
        fixture="",
    ),
)
"""Asked for after an outage alone, in this order, until nothing is left of the hole: the finer one first."""


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """A definition in the telemetry service that may be of the total.

    Args:
        metric: Its id.
        seen: Where.
        fixture: Folder below ``tests/testcases`` that shows it; empty: a public report alone.
    """

    metric: str
    seen: str
    fixture: str


METRIC_DEFINITIONS: tuple[MetricDefinition, ...] = (
    MetricDefinition(
        "PowerConsumedWatts",
        "DMTF's telemetry white paper (DSP2051); ODIM's documentation",
        "redfish/dmtf-metric-definition",
    ),
    # Of Dell's definitions one is published, that of the peak (accuracy 1, 60 s;
    # iDRAC-Telemetry-Reference-Tools, pull request 138): it names no property, and such a one is not used.
    MetricDefinition("SystemPowerConsumption", "Dell iDRAC9: metric of the report PowerMetrics", ""),
)
"""Asked for in a walk where there is a telemetry service; the first one that names the total counts."""
