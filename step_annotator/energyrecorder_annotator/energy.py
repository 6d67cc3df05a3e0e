"""From a step and the readings around it to its result: joules, interval, quality, and why.

Importing this loads numpy: `energyrecorder_annotator.results` does so when the first result is due.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from energyrecorder_analysis.combine import StepEnergy, step_energy
from energyrecorder_analysis.curve import PowerCurve, power_curve
from energyrecorder_analysis.integrate import server_answer
from energyrecorder_analysis.series import PowerSeries, SourceFacts
from energyrecorder_annotator.expected import Expected
from energyrecorder_annotator.journal.base import StoredResult
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.overlap import Rival, share_j
from energyrecorder_annotator.samples.base import ServerReadings


def step_result(
    step: Step,
    expected: Expected,
    readings: Iterable[ServerReadings],
    *,
    rivals: Sequence[Rival],
    computed_ns: int,
    counted: tuple[int, int],
) -> StoredResult:
    """Return the result of a step that has ended.

    Args:
        step: The step.
        expected: Servers whose readings it needs.
        readings: Theirs, from before its start to after its end; read one server at a time, so that a long
            step over many servers does not take the memory of all its rows.
        rivals: Other steps that ran on its servers meanwhile.
        computed_ns: Our wall clock.
        counted: How many readings there were, and the newest, to see later whether more came in.
    """
    energy, preferences, shares_j = _integrated(step, expected, readings, rivals)
    quality, reason = _with_unmatched(energy.quality, energy.reason, expected)
    detail = {
        **_sums(energy),
        "quality": quality,
        "reason": reason,
        "expected": len(expected.servers),
        "method": _with_preferences(energy.method, preferences),
        "overlap": len(rivals),
        "share_j": sum(shares_j.values()) if shares_j else None,
        "computed_ns": computed_ns,
        "per_server": {
            name: {**server_answer(part), "by": preferences.get(name), "share_j": shares_j.get(name)}
            for name, part in energy.servers.items()
        },
    }
    return StoredResult(detail=detail, samples=counted[0], newest_ns=counted[1])


def _integrated(
    step: Step, expected: Expected, readings: Iterable[ServerReadings], rivals: Sequence[Rival]
) -> tuple[StepEnergy, Mapping[str, str], Mapping[str, float]]:
    """Return the energy, and by server whose reading was used and the step's share where others ran too."""
    end_ns = step.start_ns if step.end_ns is None else step.end_ns
    preferences: dict[str, str] = {}
    shares_j: dict[str, float] = {}

    def curves() -> Iterator[tuple[str, PowerCurve | None]]:
        for one in readings:
            curve = _curve(one)
            preferences[one.server] = one.preference
            if rivals and curve is not None:
                shares_j[one.server] = _share_j(one.server, curve, (step.start_ns, end_ns), rivals)
            yield one.server, curve
        for server in expected.servers:
            if server not in preferences:
                yield server, None

    # The error is a bound with no value in it more likely than another: a rectangle's standard deviation.
    clock_error_s = step.clock_error_ns / 1e9 / math.sqrt(3)
    energy = step_energy(curves(), step.start_ns, end_ns, clock_error_s=clock_error_s)
    return energy, preferences, shares_j


def _sums(energy: StepEnergy) -> dict[str, Any]:
    return {
        "energy_j": energy.energy_j,
        "u95_j": energy.u95_j,
        "u95_gain_j": energy.u95_gain_j,
        "avg_w": energy.avg_w,
        "max_w": energy.max_w,
        "coverage": energy.coverage,
        "samples": energy.samples,
        "servers": sum(part.energy_j is not None for part in energy.servers.values()),
        "side": energy.side,
    }


def _curve(one: ServerReadings) -> PowerCurve | None:
    sources = [SourceFacts(*source) for source in one.sources]
    return power_curve(PowerSeries.from_columns(one.server, one.time_ns, one.watts, one.source, sources))


def _share_j(server: str, curve: PowerCurve, span_ns: tuple[int, int], rivals: Sequence[Rival]) -> float:
    """Return the step's share of a server's energy."""
    return share_j(
        lambda from_ns, to_ns: curve.energy_j(curve.seconds(from_ns), curve.seconds(to_ns)),
        server,
        span_ns,
        rivals,
    )


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


def _with_preferences(method: str, preferences: Mapping[str, str]) -> str:
    others = sorted(f"{server} by {name}" for server, name in preferences.items() if name != "bmc")
    return "; ".join(filter(None, (method, ", ".join(others))))
