"""From a step and the readings around it to its result: joules, interval, quality, and why.

Importing this loads numpy: `energyrecorder_annotator.results` does so when the first result is due.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from energyrecorder_analysis.combine import StepEnergy, step_energy
from energyrecorder_analysis.curve import PowerCurve, Timings, power_curve
from energyrecorder_analysis.integrate import server_answer
from energyrecorder_analysis.series import PowerSeries, SourceFacts
from energyrecorder_annotator.expected import Expected
from energyrecorder_annotator.journal.base import StoredResult
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.overlap import Rival, share_j
from energyrecorder_annotator.run_timings import ServerTimings
from energyrecorder_annotator.samples.base import ServerReadings


def step_result(
    step: Step,
    expected: Expected,
    readings: Iterable[ServerReadings],
    *,
    rivals: Sequence[Rival],
    known: ServerTimings,
    computed_ns: int,
    counted: tuple[int, int],
) -> tuple[StoredResult, ServerTimings]:
    """Return the result of a step that has ended, and the timing of its servers' sources.

    Args:
        step: The step.
        expected: Servers whose readings it needs.
        readings: Theirs, from before its start to after its end; read one server at a time, so that a long
            step over many servers does not take the memory of all its rows.
        rivals: Other steps that ran on its servers meanwhile.
        known: Timing of sources out of the readings of its whole run, as far as it is known.
        computed_ns: Our wall clock.
        counted: How many readings there were, and the newest, to see later whether more came in.
    """
    seen = _Seen()
    energy = _integrated(step, expected, readings, rivals, known, seen)
    quality, reason = _with_unmatched(energy.quality, energy.reason, expected)
    detail = {
        **_sums(energy),
        "quality": quality,
        "reason": reason,
        "expected": len(expected.servers),
        "method": _with_preferences(energy.method, seen.preferences),
        "overlap": len(rivals),
        "share_j": sum(seen.shares_j.values()) if seen.shares_j else None,
        "computed_ns": computed_ns,
        "per_server": {
            name: {
                **server_answer(part),
                "by": seen.preferences.get(name),
                "share_j": seen.shares_j.get(name),
            }
            for name, part in energy.servers.items()
        },
    }
    return StoredResult(detail=detail, samples=counted[0], newest_ns=counted[1]), seen.timings


def timings_of(readings: Iterable[ServerReadings]) -> ServerTimings:
    """Return the timing of the servers' sources, read one server at a time."""
    curves = ((one.server, _curve(one, {})) for one in readings)
    return {server: _timings(curve) for server, curve in curves if curve is not None}


@dataclass(slots=True)
class _Seen:
    """What is noted of each server while its readings are in memory.

    Args:
        preferences: Whose reading was used.
        shares_j: The step's share, where others ran too.
        timings: Timing of its sources.
    """

    preferences: dict[str, str] = field(default_factory=dict)
    shares_j: dict[str, float] = field(default_factory=dict)
    timings: dict[str, Timings] = field(default_factory=dict)


def _integrated(
    step: Step,
    expected: Expected,
    readings: Iterable[ServerReadings],
    rivals: Sequence[Rival],
    known: ServerTimings,
    seen: _Seen,
) -> StepEnergy:
    """Return the energy, and note in ``seen`` what else is to be told of each server."""
    span_ns = step.start_ns, step.until_ns

    def curves() -> Iterator[tuple[str, PowerCurve | None]]:
        for one in readings:
            curve = _curve(one, known.get(one.server, {}))
            seen.preferences[one.server] = one.preference
            if curve is not None:
                seen.timings[one.server] = _timings(curve)
            if rivals and curve is not None:
                seen.shares_j[one.server] = _share_j(one.server, curve, span_ns, rivals)
            yield one.server, curve
        for server in expected.servers:
            if server not in seen.preferences:
                yield server, None

    # The error is a bound with no value in it more likely than another: a rectangle's standard deviation.
    clock_error_s = step.clock_error_ns / 1e9 / math.sqrt(3)
    return step_energy(curves(), *span_ns, clock_error_s=clock_error_s)


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


def _curve(one: ServerReadings, known: Timings) -> PowerCurve | None:
    sources = [SourceFacts(*source) for source in one.sources]
    series = PowerSeries.from_columns(one.server, one.time_ns, one.watts, one.source, sources)
    return power_curve(series, known=known)


def _timings(curve: PowerCurve) -> Timings:
    return {timing.kind: timing for timing in curve.timings}


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
