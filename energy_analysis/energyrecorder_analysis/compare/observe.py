"""From a run as the annotator answers it to energies that may be compared, or why they may not."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from energyrecorder_analysis.quality import COARSE_U95

WHOLE: Key = ()
"""Stands for the run as a whole."""
PENDING = "no result yet"
_WARM_UP = "warmup"

Key = tuple[str, ...]
"""A step by the names of those around it and its own, outermost first, without the run's."""


class Place(NamedTuple):
    """What must be equal for energies to be comparable: then a sensor's gain and lag cancel in their ratio.

    Args:
        env: Environment.
        servers: Servers whose readings were added up.
        sensors: Of each of them: source and side of the power supply.
        times: How often the step ran in its run.
    """

    env: str
    servers: tuple[str, ...]
    sensors: tuple[str, ...]
    times: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The energy of one step, or of the whole, in one run; several instances of a step are added up.

    Args:
        run_id: The run.
        at_ns: Start of the run, nanoseconds since the Unix epoch.
        place: What it may be compared with.
        energy_j: Energy, positive.
        u95_j: Half width of its 95 % interval.
        u95_gain_j: Half width due to the sensors' accuracy; None when unknown.
        duration_s: Length.
        work: Units of work done; None if not given.
    """

    run_id: str
    at_ns: int
    place: Place
    energy_j: float
    u95_j: float
    u95_gain_j: float | None
    duration_s: float
    work: float | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run whose energy cannot be compared, and why."""

    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run offers: energies by step, and what had to be left out."""

    run_id: str
    scenario: str
    energies: Mapping[Key, Observation]
    left_out: Mapping[Key, LeftOut]


def observe(body: Mapping[str, Any]) -> Seen:
    """Return what a run offers for comparison.

    Args:
        body: The answer to ``GET /v1/runs/{id}``: ``{"run": step, "steps": [step, …]}``.
    """
    run = body["run"]
    instances = _instances(run, body["steps"])
    run_id = str(run["run_id"])
    unusable = _unusable_run(run)
    energies: dict[Key, Observation] = {}
    left_out: dict[Key, LeftOut] = {}
    for key, steps in instances.items():
        reason = unusable or next(filter(None, map(_unusable_step, steps)), "")
        if reason:
            left_out[key] = LeftOut(run_id, reason)
        else:
            energies[key] = _observation(run, steps)
    return Seen(run_id, str(run["scenario"]), energies, left_out)


def _instances(
    run: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]
) -> dict[Key, list[Mapping[str, Any]]]:
    by_id = {step["step_id"]: step for step in steps}
    found: dict[Key, list[Mapping[str, Any]]] = defaultdict(list)
    found[WHOLE].append(run)
    for step in steps:
        names: list[str] = []
        above: Mapping[str, Any] | None = step
        while above is not None:
            names.insert(0, str(above["step"] or above["scenario"]))
            above = by_id.get(above["parent_id"])
        found[tuple(names)].append(step)
    return found


def _unusable_run(run: Mapping[str, Any]) -> str:
    """Return why nothing of this run can be compared; empty if it can."""
    if run["state"] == "running":
        return "still runs"
    if run["state"] != "passed":
        return f"ended as {run['state']}"
    if str(run["tags"].get(_WARM_UP, "")).lower() in {"1", "true", "yes"}:
        return "is tagged as warm-up"
    if run["result"] is not None and run["result"].get("overlap"):
        return "shared its servers with other runs"
    return ""


def _unusable_step(step: Mapping[str, Any]) -> str:
    result = step["result"]
    if step["state"] != "passed":
        return f"ended as {step['state']}"
    if result is None:
        return PENDING
    if result["servers"] != result["expected"]:
        return str(result["reason"] or "a server gave no readings")
    if result["quality"] == "unresolvable":
        return f"not resolvable: {result['reason']}{_long_enough(step)}"
    if not result["energy_j"] or result["energy_j"] <= 0 or result["u95_j"] is None:
        return "no energy"
    return ""


def _long_enough(step: Mapping[str, Any]) -> str:
    """Return which length would do where the interval is the reason: it does not grow with the step."""
    result = step["result"]
    if not result["energy_j"] or result["energy_j"] <= 0 or not result["u95_j"]:
        return ""
    needed_s = step["duration_s"] * result["u95_j"] / result["energy_j"] / COARSE_U95
    return f"; about {math.ceil(needed_s)} s would do" if needed_s > step["duration_s"] else ""


def _observation(run: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Observation:
    results = [step["result"] for step in steps]
    works = [step["work"] for step in steps]
    gains_j = [result.get("u95_gain_j") for result in results]
    servers = {server: part for result in results for server, part in result["per_server"].items()}
    return Observation(
        run_id=str(run["run_id"]),
        at_ns=run["started_ns"],
        place=Place(
            env=run["env"],
            servers=tuple(sorted(servers)),
            sensors=tuple(_sensor(server, servers[server]) for server in sorted(servers)),
            times=len(steps),
        ),
        energy_j=sum(result["energy_j"] for result in results),
        # Their errors have causes in common (lag, clock): added up, which is never too little.
        u95_j=sum(result["u95_j"] for result in results),
        u95_gain_j=None if None in gains_j else sum(gains_j),
        duration_s=sum(step["duration_s"] for step in steps),
        work=sum(works) if all(works) else None,
    )


def _sensor(server: str, part: Mapping[str, Any]) -> str:
    """Return the words for where a server's readings came from, equal where they are comparable."""
    sources = " and ".join(part.get("sources") or ()) or "an unnamed source"
    kind = part.get("by") or "bmc"
    owner = "" if kind == "bmc" else f"{kind}: "
    return f"{server} by {owner}{sources} ({part.get('side') or 'side unknown'})"
