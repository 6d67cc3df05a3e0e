"""What goes wrong with a simulated IPMI BMC, from when to when, how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "silent",
    "bmc_reboot",
    "slow",
    "slots_full",
    "suite_downgrade",
    "rakp2_code_wrong",
    "rakp4_code_wrong",
    "completion_code",
    "dcmi_off",
    "dcmi_zero",
    "dcmi_inactive",
    "dcmi_stats_zero",
    "dcmi_stats_extreme",
    "dcmi_time_1970",
    "dcmi_short",
    "sensor_unavailable",
    "sensor_scanning_off",
    "sdr_changed",
]

KINDS: Mapping[Kind, str] = {
    "silent": "Answers nothing; sessions stay.",
    "bmc_reboot": "Forgets all sessions when it begins, and answers nothing while it lasts.",
    "slow": "Each answer takes latency_s longer.",
    "slots_full": "Refuses new sessions: RMCP+ status 01h.",
    "suite_downgrade": "Answers a proposal of SHA-256 (suite 17) with the algorithms of suite 3.",
    "rakp2_code_wrong": "RAKP message 2 carries a wrong code, as if it knew another password.",
    "rakp4_code_wrong": "RAKP message 4 carries a wrong integrity check value.",
    "completion_code": "Ends readings with completion code `code`: C0 busy, C3 timeout, D4 privilege.",
    "dcmi_off": "DCMI commands end with C1.",
    "dcmi_zero": "DCMI power reading is all zero and not active.",
    "dcmi_inactive": "DCMI power reading is good, but marked not active (seen on OpenBMC).",
    "dcmi_stats_zero": "DCMI statistics and time stamp are zero, current is good and marked not active.",
    "dcmi_stats_extreme": "DCMI minimum is 0 and maximum 65535.",
    "dcmi_time_1970": "DCMI time stamp counts from the start of the BMC.",
    "dcmi_short": "DCMI power reading ends after the average.",
    "sensor_unavailable": "Sensor readings are marked unavailable.",
    "sensor_scanning_off": "Sensor readings are marked as not scanned.",
    "sdr_changed": "The SDR repository changes when it begins: later time stamp, reservation cancelled.",
}

READING_COMMANDS = frozenset({(0x2C, 0x02), (0x04, 0x2D)})
"""DCMI Get Power Reading and Get Sensor Reading."""


@dataclass(slots=True)
class IpmiFault:
    """One fault of one BMC.

    Args:
        kind: Key of `KINDS`.
        start_ns: When it begins, nanoseconds since the Unix epoch, UTC; 0 means it always has been.
        end_ns: When it is over; None means never.
        count: Requests that it still strikes; None means all in its time.
        code: Completion code of ``completion_code``.
        latency_s: Delay of ``slow``, seconds.
    """

    kind: Kind
    start_ns: int = 0
    end_ns: int | None = None
    count: int | None = None
    code: int = 0xC0
    latency_s: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"key 'kind' is {self.kind!r}; allowed: {', '.join(KINDS)}")

    def active(self, now_ns: int) -> bool:
        """Tell whether it is on at ``now_ns`` and has not struck often enough."""
        begun = self.start_ns <= now_ns and (self.end_ns is None or now_ns < self.end_ns)
        return begun and self.count != 0


class FaultPlan:
    """The faults of one BMC."""

    def __init__(self) -> None:
        self._faults: list[IpmiFault] = []

    def add(self, fault: IpmiFault) -> None:
        """Add a fault."""
        self._faults.append(fault)

    def find(self, kind: Kind, now_ns: int) -> IpmiFault | None:
        """Return the first active fault of a kind without counting it, or None."""
        return next((fault for fault in self._faults if fault.kind == kind and fault.active(now_ns)), None)

    def began(self, kind: Kind, after_ns: int, until_ns: int) -> bool:
        """Tell whether a fault of a kind began later than ``after_ns`` and not later than ``until_ns``."""
        return any(fault.kind == kind and after_ns < fault.start_ns <= until_ns for fault in self._faults)

    def strikes(self, kind: Kind, now_ns: int) -> IpmiFault | None:
        """Return the first active fault of a kind and count it, or None."""
        fault = self.find(kind, now_ns)
        if fault is not None and fault.count is not None:
            fault.count -= 1
        return fault
