"""Two selections of runs compared: every scenario, the run as a whole and each of its steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from energyrecorder_analysis.compare.holm import adjusted
from energyrecorder_analysis.compare.judge import (
    IMPROVEMENT,
    NOT_COMPARABLE,
    REGRESSION,
    VERDICTS,
    Comparison,
    LeftOuts,
    Rules,
    Side,
    judge,
)
from energyrecorder_analysis.compare.measure import Measured, Pair, measure
from energyrecorder_analysis.compare.observe import WHOLE, Key, LeftOut, Observation, Place, Seen

NOT_INTERLEAVED = "not-interleaved"
SINGLE_RUN = "single-run"
_NAMED = 3
LEAST_FOR_ORDER = 2
"""Runs on each side from which their order says anything."""


@dataclass(frozen=True, slots=True)
class ScenarioComparison:
    """One scenario compared; the run as a whole decides unless a step got worse."""

    scenario: str
    verdict: str
    reason: str
    whole: Comparison
    steps: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """Everything compared.

    Args:
        verdict: One of `energyrecorder_analysis.compare.judge.VERDICTS`: a regression anywhere, else the
            worst of the runs as a whole.
        reason: Why, in words.
        scenarios: Each of the candidate's.
        warnings: ``{"code", "message"}`` of what makes the verdict less sure than it looks.
    """

    verdict: str
    reason: str
    scenarios: tuple[ScenarioComparison, ...]
    warnings: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A comparison that waits for the others of its family."""

    scenario: str
    key: Key
    left_out: LeftOuts
    measured: Measured | None
    reason: str


def compare(
    baseline: Iterable[Seen], candidate: Iterable[Seen], rules: Rules, *, with_steps: bool = True
) -> Compared:
    """Return how the candidate compares with the baseline.

    Args:
        baseline: Runs to compare with.
        candidate: Runs to judge.
        rules: What counts as a change.
        with_steps: Compare each step, too; without, the run as a whole has all of alpha to itself.
    """
    sides = (_by_scenario(baseline), _by_scenario(candidate))
    drafts = [
        _draft(scenario, key, [sides[0].get(scenario, []), sides[1][scenario]], rules)
        for scenario in sides[1]
        for key in _keys([*sides[0].get(scenario, []), *sides[1][scenario]], with_steps=with_steps)
    ]
    judged = _judged(drafts, rules)
    scenarios = tuple(_scenario(scenario, judged) for scenario in sides[1])
    verdict, reason = _overall(scenarios)
    told = [one for one in scenarios if one.whole.verdict != NOT_COMPARABLE]
    warnings = (*_apart(told, *sides), *_single(told))
    return Compared(verdict, reason, scenarios, warnings)


def shares(count_by_scenario: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Return which part of alpha the whole of each scenario gets, and which each of its steps.

    A run as a whole counts as much as all of its steps together; scenarios count alike.

    Args:
        count_by_scenario: How many steps are compared.
    """
    each = 1 / max(len(count_by_scenario), 1)
    return {
        scenario: (each / 2, each / 2 / count) if count else (each, 0.0)
        for scenario, count in count_by_scenario.items()
    }


def _by_scenario(runs: Iterable[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = defaultdict(list)
    for run in runs:
        found[run.scenario].append(run)
    return dict(found)


def _keys(runs: Iterable[Seen], *, with_steps: bool) -> list[Key]:
    keys: dict[Key, None] = {WHOLE: None}
    for run in runs:
        keys.update(dict.fromkeys([*run.energies, *run.left_out]))
    return list(keys) if with_steps else [WHOLE]


def _draft(scenario: str, key: Key, sides: Sequence[Sequence[Seen]], rules: Rules) -> _Draft:
    found = [[run.energies[key] for run in side if key in run.energies] for side in sides]
    lacking = [tuple(run.left_out[key] for run in side if key in run.left_out) for side in sides]
    left_out: LeftOuts = (lacking[0], lacking[1])
    for name, side, runs, out in zip(("baseline", "candidate"), sides, found, lacking, strict=True):
        if not runs:
            return _Draft(scenario, key, left_out, None, _why_none(name, side, out))
    pairs, reason = _pairs(found[0], found[1])
    if not pairs:
        return _Draft(scenario, key, left_out, None, reason)
    return _Draft(scenario, key, left_out, measure(pairs, rules.alpha), "")


def _why_none(name: str, side: Sequence[Seen], left_out: Sequence[LeftOut]) -> str:
    """Return why a side has no run to compare."""
    if not side:
        return f"the {name} has no run of it"
    if not left_out:
        return f"it did not run in the {name}"
    return f"no run of the {name} can be used: {left_out[0].reason}"


def _pairs(baseline: Sequence[Observation], candidate: Sequence[Observation]) -> tuple[list[Pair], str]:
    """Return the runs by place, or why they have none in common."""
    places: list[dict[Place, list[Observation]]] = [defaultdict(list), defaultdict(list)]
    for index, side in enumerate((baseline, candidate)):
        for run in side:
            places[index][run.place].append(run)
    common = [place for place in places[1] if place in places[0]]
    if not common:
        return [], _differ(next(reversed(places[0])), next(reversed(places[1])))
    return [(places[0][place], places[1][place]) for place in common], ""


def _differ(baseline: Place, candidate: Place) -> str:
    if baseline.env != candidate.env:
        return f"the baseline ran in {baseline.env!r}, the candidate in {candidate.env!r}"
    if baseline.servers != candidate.servers:
        was, now = (_some(one.servers) for one in (baseline, candidate))
        return f"other servers: {was} in the baseline, {now} in the candidate"
    if baseline.sensors != candidate.sensors:
        was, now = next(
            pair for pair in zip(baseline.sensors, candidate.sensors, strict=True) if pair[0] != pair[1]
        )
        return f"other sensors: {was} before, {now} now"
    return f"it ran {baseline.times} times in the baseline, {candidate.times} times in the candidate"


def _some(servers: Iterable[str]) -> str:
    """Return the first servers by name, and how many more there are."""
    named = sorted(servers)
    more = len(named) - _NAMED
    return ", ".join(named[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _judged(drafts: Sequence[_Draft], rules: Rules) -> dict[tuple[str, Key], Comparison]:
    measured = [(draft, draft.measured) for draft in drafts if draft.measured is not None]
    counts: dict[str, int] = defaultdict(int)
    for draft, _ in measured:
        counts[draft.scenario] += draft.key != WHOLE
    share_of = shares(counts)
    weights = [share_of[draft.scenario][draft.key != WHOLE] for draft, _ in measured]
    up = adjusted([1.0 if one.shift is None else one.shift.p_greater for _, one in measured], weights)
    down = adjusted([1.0 if one.shift is None else one.shift.p_less for _, one in measured], weights)
    found = {
        (draft.scenario, draft.key): Comparison(
            step=draft.key,
            baseline=Side(left_out=draft.left_out[0]),
            candidate=Side(left_out=draft.left_out[1]),
            verdict=NOT_COMPARABLE,
            reason=draft.reason,
        )
        for draft in drafts
    }
    for index, (draft, one) in enumerate(measured):
        found[draft.scenario, draft.key] = judge(
            draft.key,
            one,
            draft.left_out,
            rules,
            adjusted=(up[index], down[index]),
            share=weights[index],
        )
    return found


def _scenario(scenario: str, judged: Mapping[tuple[str, Key], Comparison]) -> ScenarioComparison:
    whole = judged[scenario, WHOLE]
    steps = tuple(one for (name, key), one in judged.items() if name == scenario and key != WHOLE)
    worse = [one for one in steps if one.verdict == REGRESSION]
    if whole.verdict != REGRESSION and worse:
        named = ", ".join(" / ".join(one.step) for one in worse[:3])
        return ScenarioComparison(scenario, REGRESSION, f"steps that got worse: {named}", whole, steps)
    return ScenarioComparison(scenario, whole.verdict, whole.reason, whole, steps)


def _overall(scenarios: Sequence[ScenarioComparison]) -> tuple[str, str]:
    if not scenarios:
        return NOT_COMPARABLE, "the candidate has no run"
    worst = min(scenarios, key=lambda one: VERDICTS.index(one.verdict))
    reason = worst.reason if len(scenarios) == 1 else f"{worst.scenario}: {worst.reason}"
    return worst.verdict, reason


def _apart(
    told: Iterable[ScenarioComparison],
    baseline: Mapping[str, Sequence[Seen]],
    candidate: Mapping[str, Sequence[Seen]],
) -> Iterable[Mapping[str, str]]:
    names = [one.scenario for one in told]
    apart = [name for name in names if _are_apart(_times(baseline[name]), _times(candidate[name]))]
    if apart:
        message = (
            f"all candidate runs of {', '.join(apart[:_NAMED])} lie on one side of the baseline in time: a "
            "slow drift (temperature, wear) looks like a change; run both versions by turns"
        )
        yield {"code": NOT_INTERLEAVED, "message": message}


def _single(told: Iterable[ScenarioComparison]) -> Iterable[Mapping[str, str]]:
    judged = [one for one in told if one.verdict in {REGRESSION, IMPROVEMENT}]
    single = [one.scenario for one in judged if 1 in (one.whole.baseline.runs, one.whole.candidate.runs)]
    if single:
        message = (
            f"the verdict on {', '.join(single[:_NAMED])} rests on a single run, which may be one that "
            "something disturbed: repeat it before you believe it"
        )
        yield {"code": SINGLE_RUN, "message": message}


def _times(runs: Iterable[Seen]) -> list[int]:
    return [run.energies[WHOLE].at_ns for run in runs if WHOLE in run.energies]


def _are_apart(baseline_ns: Sequence[int], candidate_ns: Sequence[int]) -> bool:
    if min(len(baseline_ns), len(candidate_ns)) < LEAST_FOR_ORDER:
        return False
    return max(baseline_ns) < min(candidate_ns) or max(candidate_ns) < min(baseline_ns)
