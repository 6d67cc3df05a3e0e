"""Steps and readings from files in, joules per step out: the whole estimator without a service."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder_analysis.combine import StepEnergy, step_energy
from energyrecorder_analysis.curve import PowerCurve, power_curve
from energyrecorder_analysis.estimate import ServerEnergy
from energyrecorder_analysis.power_input import EnvRow
from energyrecorder_analysis.series import PowerRow, PowerSeries
from energyrecorder_analysis.timestamp import TIME_ALLOWED, FileTimes

EXPECTED_BEFORE_NS = 3_600_000_000_000
"""A server is expected in a step if it was heard of in it or this long before its start."""

_KEYS = ("env", "scenario", "step", "started_at", "ended_at")


@dataclass(frozen=True, slots=True)
class StepWindow:
    """One step whose energy is asked for.

    Args:
        env: Environment whose servers count.
        scenario: Name of the scenario.
        step: Name of the step; None for the scenario as a whole.
        start_ns: Start, nanoseconds since the Unix epoch, UTC.
        end_ns: End, not before the start.
    """

    env: str
    scenario: str
    step: str | None
    start_ns: int
    end_ns: int


def parse_steps_json(text: str, *, name: str) -> list[StepWindow]:
    """Return the steps of a JSON list of ``{env, scenario, step, started_at, ended_at}``.

    Args:
        text: Content; ``step`` may be absent or null (the scenario as a whole);
            other keys are left alone.
        name: Name of the file, for messages.

    Raises:
        ConfigError: Not such a list; the message names file, entry, key and what is allowed.
    """
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{name}: line {error.lineno} column {error.colno}: not valid JSON: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:  # a number too long, or what is nested too deeply
        raise ConfigError(f"{name}: not valid JSON: {error}") from None
    if not isinstance(parsed, list):
        raise ConfigError(f"{name}: must be a list of steps, not {type(parsed).__name__}")
    times = FileTimes()
    steps = [_step(entry, times, f"{name}: step {number}") for number, entry in enumerate(parsed, start=1)]
    times.check()
    return steps


def integrate(
    power_rows: Iterable[EnvRow], steps: Sequence[StepWindow], window_s: float | None = None
) -> dict[str, Any]:
    """Return ``{"steps": [...]}`` with the energy of each step, in the order given, ready for JSON.

    Args:
        power_rows: Readings in any order (`power_input`).
        steps: What to integrate (`parse_steps_json`).
        window_s: Averaging window of the readings that do not state theirs; None leaves it unknown.
    """
    rows: dict[tuple[str, str], list[PowerRow]] = defaultdict(list)
    for env, server, row in power_rows:
        known = row if row.window_s is not None or window_s is None else row._replace(window_s=window_s)
        rows[env, server].append(known)
    curves: dict[str, dict[str, PowerCurve | None]] = defaultdict(dict)
    heard_ns: dict[tuple[str, str], list[int]] = {}
    for (env, server), found in sorted(rows.items()):
        curves[env][server] = power_curve(PowerSeries.from_rows(server, found))
        heard_ns[env, server] = sorted(row.time_ns for row in found)
    answers = []
    for step in steps:
        expected = {
            server: curve
            for server, curve in curves.get(step.env, {}).items()
            if _heard(heard_ns[step.env, server], step)
        }
        answers.append(_answer(step, step_energy(expected.items(), step.start_ns, step.end_ns)))
    return {"steps": answers}


def _heard(times_ns: Sequence[int], step: StepWindow) -> bool:
    last = bisect_right(times_ns, step.end_ns) - 1
    return last >= 0 and times_ns[last] >= step.start_ns - EXPECTED_BEFORE_NS


def _answer(step: StepWindow, energy: StepEnergy) -> dict[str, Any]:
    reason = energy.reason if energy.servers else f"no readings of environment {step.env!r}"
    return {
        "env": step.env,
        "scenario": step.scenario,
        "step": step.step,
        "duration_s": energy.duration_s,
        "energy_j": energy.energy_j,
        "u95_j": energy.u95_j,
        "u95_gain_j": energy.u95_gain_j,
        "avg_w": energy.avg_w,
        "max_w": energy.max_w,
        "quality": energy.quality,
        "reason": reason,
        "coverage": energy.coverage,
        "samples": energy.samples,
        "method": energy.method,
        "servers": {server: server_answer(part) for server, part in energy.servers.items()},
    }


def server_answer(part: ServerEnergy) -> dict[str, Any]:
    """Return the energy of one server as it stands in JSON."""
    return {
        "energy_j": part.energy_j,
        "u95_j": part.u95_j,
        "avg_w": part.avg_w,
        "max_w": part.max_w,
        "quality": part.quality,
        "reason": part.reason,
        "coverage": part.coverage,
        "samples": part.samples,
        "gaps": [list(gap) for gap in part.gaps_ns],
        "method": part.method,
        "sources": list(part.sources),
        "side": part.side,
    }


def _step(entry: object, times: FileTimes, where: str) -> StepWindow:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where}: must be an object with the keys {', '.join(_KEYS)}")
    step = entry.get("step")
    if step is not None and (not isinstance(step, str) or not step):
        raise ConfigError(f"{where}: key 'step' is {step!r}; allowed: a name, or null for the whole scenario")
    start_ns, end_ns = (_moment(entry, key, times, where) for key in ("started_at", "ended_at"))
    if end_ns < start_ns:
        raise ConfigError(
            f"{where}: key 'ended_at' is {entry['ended_at']!r}; allowed: not before 'started_at'"
        )
    return StepWindow(_name(entry, "env", where), _name(entry, "scenario", where), step, start_ns, end_ns)


def _name(entry: Mapping[str, object], key: str, where: str) -> str:
    if key not in entry:
        raise ConfigError(f"{where}: missing key {key!r}: a name")
    value = entry[key]
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: key {key!r} is {value!r}; allowed: a name")
    return value


def _moment(entry: Mapping[str, object], key: str, times: FileTimes, where: str) -> int:
    if key not in entry:
        raise ConfigError(f"{where}: missing key {key!r}: {TIME_ALLOWED}")
    return times.read(entry[key], f"{where}: key {key!r}")
