"""How many runs of a scenario it takes to see a change, learned from the runs there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from energyrecorder_analysis.compare.family import shares
from energyrecorder_analysis.compare.judge import Rules
from energyrecorder_analysis.compare.observe import WHOLE, Key, LeftOut, Observation, Place, Seen
from energyrecorder_analysis.compare.power import cv_of, detectable, runs_needed
from energyrecorder_analysis.compare.student import LEAST_RUNS, chi2_quantile, log_sd
from energyrecorder_analysis.quality import RESOLVED_U95

SHOWN_RUNS = (1, 4, 6, 10, 20, 40)
"""Runs of a candidate for which the plan says what they would show."""
_ROBUST_FROM = 8
"""From so many runs on a disturbed one is told from the others."""
_MAD_TO_SD = 1.4826
_MAD_EFFICIENCY = 0.37
"""The median absolute deviation is worth 37 % of the runs (Huber, Robust Statistics, section 5.1)."""
_SURE = 0.9
"""The scatter is at most the upper figure with this confidence."""


@dataclass(frozen=True, slots=True)
class Target:
    """What it takes to compare one step, or the whole of a run; its fields are the API's.

    Args:
        step: Names from the outermost step on; empty for the whole.
        runs: Runs that were learned from.
        energy_j: Their median energy; None without any.
        duration_s: Their median length.
        u95_part: Median half width of the 95 % interval as a part of the energy.
        shortest_s: Length from which such a step is resolved: its interval comes from its edges and does not
            grow with it.
        cv: Scatter of undisturbed runs; None for fewer than three.
        cv_upper: What it is at most, with 90 % confidence: few runs know their own scatter badly.
        alpha: Probability of a false alarm that the gate leaves to this one comparison.
        runs_needed: Runs on each side; None when more than 200 or unknown.
        runs_needed_upper: The same for ``cv_upper``.
        detectable: Smallest increase that n runs of a candidate show against the runs there are, by n.
        reason: Why something is missing; empty if nothing is.
        left_out: Runs that could not be used.
    """

    step: tuple[str, ...]
    runs: int
    energy_j: float | None
    duration_s: float | None
    u95_part: float | None
    shortest_s: float | None
    cv: float | None
    cv_upper: float | None
    alpha: float
    runs_needed: int | None
    runs_needed_upper: int | None
    detectable: Mapping[str, float | None]
    reason: str
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes to compare a scenario.

    Args:
        servers: Servers of the runs that were learned from.
        whole: The run as a whole.
        steps: Its steps.
    """

    servers: tuple[str, ...]
    whole: Target
    steps: tuple[Target, ...]


def plan(runs: Sequence[Seen], rules: Rules, *, with_steps: bool = True) -> Plan:
    """Return what it takes to compare one scenario.

    Args:
        runs: Runs of it, newest first; those of the newest one's servers and sensors count.
        rules: The change that is to be seen, how surely, and the false alarms that are allowed.
        with_steps: Plan for its steps, too.
    """
    keys: dict[Key, None] = {WHOLE: None}
    for run in runs if with_steps else ():
        keys.update(dict.fromkeys([*run.energies, *run.left_out]))
    usable = {key: _usable(runs, key) for key in keys}
    steps = sum(1 for key, found in usable.items() if key != WHOLE and found)
    whole_share, step_share = shares({"": steps})[""]
    targets = {
        key: _target(
            key,
            found,
            tuple(run.left_out[key] for run in runs if key in run.left_out),
            rules,
            rules.alpha * (step_share or whole_share if key else whole_share),
        )
        for key, found in usable.items()
    }
    servers = usable[WHOLE][0].place.servers if usable[WHOLE] else ()
    return Plan(servers, targets.pop(WHOLE), tuple(targets.values()))


def scatter(logs: Sequence[float]) -> tuple[float, float]:
    """Return the standard deviation of undisturbed log energies, and what it is at most.

    Args:
        logs: Of `LEAST_RUNS` runs or more; from eight on the median deviation counts, which a disturbed run
            in twenty does not move.
    """
    if len(logs) < _ROBUST_FROM:
        sd, degrees = log_sd(logs), float(len(logs) - 1)
    else:
        middle = median(logs)
        sd = max(_MAD_TO_SD * median(abs(log - middle) for log in logs), log_sd([0.0, 0.0]))
        degrees = _MAD_EFFICIENCY * (len(logs) - 1)
    return sd, sd * math.sqrt(degrees / chi2_quantile(1 - _SURE, degrees))


def _usable(runs: Iterable[Seen], key: Key) -> list[Observation]:
    found = [run.energies[key] for run in runs if key in run.energies]
    place: Place | None = found[0].place if found else None
    return [run for run in found if run.place == place]


def _target(
    key: Key,
    runs: Sequence[Observation],
    left_out: tuple[LeftOut, ...],
    rules: Rules,
    alpha: float,
) -> Target:
    sd = upper = None
    if len(runs) >= LEAST_RUNS:
        sd, upper = scatter([math.log(run.energy_j) for run in runs])
    reason = "" if sd is not None else _why_not(len(runs), left_out)
    counts = [_needed(one, rules, alpha) for one in (sd, upper)]
    if sd is not None and counts[0] is None:
        reason = "the runs differ so much that more than 200 on each side would be needed"
    return Target(
        step=key,
        runs=len(runs),
        energy_j=median(run.energy_j for run in runs) if runs else None,
        duration_s=median(run.duration_s for run in runs) if runs else None,
        u95_part=median(run.u95_j / run.energy_j for run in runs) if runs else None,
        shortest_s=median(run.duration_s * run.u95_j / run.energy_j for run in runs) / RESOLVED_U95
        if runs
        else None,
        cv=None if sd is None else cv_of(sd),
        cv_upper=None if upper is None else cv_of(upper),
        alpha=alpha,
        runs_needed=counts[0],
        runs_needed_upper=counts[1],
        detectable={} if sd is None else _detectable(sd, len(runs), alpha, rules.power),
        reason=reason,
        left_out=left_out,
    )


def _why_not(runs: int, left_out: Sequence[LeftOut]) -> str:
    if not runs and left_out:
        return f"no run can be used: {left_out[0].reason}"
    told = "1 run does" if runs == 1 else f"{runs} runs do"
    return f"{told} not tell how much runs differ: at least {LEAST_RUNS} are needed, 10 are better"


def _needed(sd: float | None, rules: Rules, alpha: float) -> int | None:
    return None if sd is None else runs_needed(sd, rules.min_effect, alpha=alpha, power=rules.power)


def _detectable(sd: float, baseline: int, alpha: float, power: float) -> dict[str, float | None]:
    return {str(runs): detectable(sd, baseline, runs, alpha=alpha, power=power) for runs in SHOWN_RUNS}
