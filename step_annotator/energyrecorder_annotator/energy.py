"""From a step and the readings around it to its result: joules, interval, quality, and why.

Importing this loads numpy: `energyrecorder_annotator.results` does so when the first result is due.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from energyrecorder_analysis.combine import StepEnergy, step_energy
from energyrecorder_analysis.curve import PowerCurve, power_curve
from energyrecorder_analysis.integrate import server_answer
from energyrecorder_analysis.series import PowerRow, PowerSeries
from energyrecorder_annotator.expected import Expected
from energyrecorder_annotator.journal.base import StoredResult
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.samples.base import ServerReadings


def step_result(
    step: Step,
    expected: Expected,
    readings: Sequence[ServerReadings],
    *,
    overlap: int,
    computed_ns: int,
    counted: tuple[int, int],
) -> StoredResult:
    """Return the result of a step that has ended.

    Args:
        step: The step.
        expected: Servers whose readings it needs.
        readings: Theirs, from before its start to after its end.
        overlap: Other steps that ran on its servers meanwhile.
        computed_ns: Our wall clock.
        counted: How many readings there were, and the newest, to see later whether more came in.
    """
    energy = _energy_of(step, expected, readings)
    quality, reason = _with_unmatched(energy.quality, energy.reason, expected)
    detail = {
        "energy_j": energy.energy_j,
        "u95_j": energy.u95_j,
        "u95_gain_j": energy.u95_gain_j,
        "avg_w": energy.avg_w,
        "max_w": energy.max_w,
        "quality": quality,
        "reason": reason,
        "coverage": energy.coverage,
        "samples": energy.samples,
        "servers": sum(part.energy_j is not None for part in energy.servers.values()),
        "expected": len(expected.servers),
        "method": _with_preferences(energy.method, readings),
        "side": energy.side,
        "overlap": overlap,
        "computed_ns": computed_ns,
        "per_server": {server: server_answer(part) for server, part in energy.servers.items()},
    }
    return StoredResult(detail=detail, samples=counted[0], newest_ns=counted[1])


def _energy_of(step: Step, expected: Expected, readings: Sequence[ServerReadings]) -> StepEnergy:
    curves: dict[str, PowerCurve | None] = dict.fromkeys(expected.servers)
    for one in readings:
        curves[one.server] = power_curve(PowerSeries.from_rows(one.server, map(PowerRow._make, one.rows)))
    end_ns = step.start_ns if step.end_ns is None else step.end_ns
    # The error is a bound with no value in it more likely than another: a rectangle's standard deviation.
    clock_error_s = step.clock_error_ns / 1e9 / math.sqrt(3)
    return step_energy(curves, step.start_ns, end_ns, clock_error_s=clock_error_s)


def failed_result(computed_ns: int) -> StoredResult:
    """Return what stands for a result whose computation failed."""
    detail: dict[str, Any] = {
        **dict.fromkeys(("energy_j", "u95_j", "u95_gain_j", "avg_w", "max_w", "side")),
        "quality": "unresolvable",
        "reason": "the computation failed; the annotator's log says why",
        "coverage": 0.0,
        "samples": 0,
        "servers": 0,
        "expected": 0,
        "method": "",
        "overlap": 0,
        "computed_ns": computed_ns,
        "per_server": {},
    }
    return StoredResult(detail=detail, samples=-1, newest_ns=0)


def says_the_same(one: StoredResult, other: StoredResult) -> bool:
    """Tell whether two results differ in nothing but when they were computed."""
    return {**one.detail, "computed_ns": 0} == {**other.detail, "computed_ns": 0}


def _with_unmatched(quality: str, reason: str, expected: Expected) -> tuple[str, str]:
    if not expected.unmatched:
        return quality, reason
    told = f"no server matches {', '.join(map(repr, expected.unmatched))}"
    return "coarse" if quality == "resolved" else quality, "; ".join(filter(None, (told, reason)))


def _with_preferences(method: str, readings: Sequence[ServerReadings]) -> str:
    others = sorted(f"{one.server} by {one.preference}" for one in readings if one.preference != "bmc")
    return "; ".join(filter(None, (method, ", ".join(others))))
