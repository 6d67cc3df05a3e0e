"""The energy section of pytest's terminal summary, from results; pure."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence, Tuple

from energyrecorder.figures import UNKNOWN, counted, duration, energy_wh, one_line, power, table
from energyrecorder.integrations.budget import EXCEEDED, KEPT, verdict
from energyrecorder.integrations.run_results import MEASURED, PENDING, StepResult

MOST_TESTS = 10
_SHORTEST = re.compile(r"shorter than two periods of the readings \(([\d.e+]+) s\)")


def summary_lines(steps: Sequence[StepResult], run_id: str) -> List[str]:
    """Return the lines of the section.

    Args:
        steps: The session's step, then what lies in it.
        run_id: Of the run, to be asked for later.
    """
    session, inner = steps[0], steps[1:]
    # A step of the session is a module; what lies in a module and tells of phases is a test.
    modules = [step for step in inner if step.parent_id == session.step_id]
    modules_ids = {step.step_id for step in modules}
    tests = [step for step in inner if step.parent_id in modules_ids and _is_test(step)]
    lines = [_headline(session)]
    rows = [_row("module", step) for step in _by_energy(modules) if step.quality in MEASURED]
    rows += _marker_rows(tests)
    measured = [step for step in _by_energy(tests) if step.quality in MEASURED]
    rows += [_row("test", step) for step in measured[:MOST_TESTS]]
    if rows:
        lines += table(("what", "name", "duration", "energy", "average", "quality"), rows).splitlines()
    if len(measured) > MOST_TESTS:
        lines.append(f"… and {counted(len(measured) - MOST_TESTS, 'test')} that took less")
    lines += _left_out(modules, tests)
    lines += _budget_lines(tests)
    pending = sum(step.quality == PENDING for step in steps)
    if pending:
        lines.append(
            f"{pending} of {len(steps)} results are still pending: energy-step report {run_id} --wait 120, "
            "or pytest --energy-wait 120"
        )
    return lines


def over_budget_text(step: StepResult, budget_j: float) -> str:
    """Return what is said of a test above its budget."""
    return f"energy {energy_wh(step.energy_j, step.u95_j)} is above the budget of {budget_j / 3600:.6g} Wh"


def _is_test(step: StepResult) -> bool:
    return any(key.startswith("pytest.") for key in step.tags)


def _by_energy(steps: Sequence[StepResult]) -> List[StepResult]:
    return sorted(steps, key=lambda step: -(step.energy_j or 0.0))


def _headline(session: StepResult) -> str:
    shown = energy_wh(session.energy_j, session.u95_j, session.quality)
    line = f"session {one_line(session.name)}: {shown} in {duration(session.duration_s)}, {session.quality}"
    return f"{line}: {one_line(session.reason, 100)}" if session.reason else line


def _average_w(energy_j: Optional[float], duration_s: float) -> Optional[float]:
    return None if energy_j is None or duration_s <= 0 else energy_j / duration_s


def _row(what: str, step: StepResult) -> List[str]:
    quality = step.quality + (f", {step.overlap} beside it" if step.overlap else "")
    return [
        what,
        one_line(step.name),
        duration(step.duration_s),
        energy_wh(step.energy_j, step.u95_j, step.quality),
        power(_average_w(step.energy_j, step.duration_s), step.quality),
        quality,
    ]


def _marker_rows(tests: Sequence[StepResult]) -> List[List[str]]:
    """Return a row per marker: the sum over its tests whose energy was measured."""
    groups: Dict[str, List[StepResult]] = {}
    for step in tests:
        for marker in filter(None, step.tags.get("pytest.markers", "").split(",")):
            groups.setdefault(marker, []).append(step)
    rows = []
    for marker, members in sorted(groups.items()):
        measured = [step for step in members if step.quality in MEASURED and step.energy_j is not None]
        if not measured:
            continue
        energy_j = sum(step.energy_j or 0.0 for step in measured)
        # The errors of one sensor do not average out over tests: half widths add up.
        u95_j = sum(step.u95_j or 0.0 for step in measured)
        length_s = sum(step.duration_s for step in measured)
        counted = f"{len(measured)} of {len(members)} tests"
        shown = (duration(length_s), energy_wh(energy_j, u95_j), power(_average_w(energy_j, length_s)))
        rows.append(["marker", one_line(marker), *shown, counted])
    return rows


def _left_out(modules: Sequence[StepResult], tests: Sequence[StepResult]) -> List[str]:
    lines = []
    steps = tests or modules
    what = "test" if tests else "module"
    short, shortest = _too_short(steps)
    if short:
        length = UNKNOWN if shortest is None else f"{shortest:.3g} s"
        lines.append(
            f"{counted(len(short), what)} too short to measure: these servers resolve from {length}; "
            "repeat them in one bracket: @pytest.mark.energy(min_duration=…)"
        )
    others = [step for step in steps if step.quality == "unresolvable" and step not in short]
    reasons: Dict[str, int] = {}
    for step in others:
        reasons[step.reason or "unknown"] = reasons.get(step.reason or "unknown", 0) + 1
    lines += [
        f"{counted(count, what)} not measured: {one_line(reason, 100)}" for reason, count in reasons.items()
    ]
    return lines


def _too_short(steps: Sequence[StepResult]) -> Tuple[List[StepResult], Optional[float]]:
    short = [step for step in steps if step.quality == "unresolvable" and _SHORTEST.search(step.reason)]
    lengths = [float(match[1]) for step in short for match in [_SHORTEST.search(step.reason)] if match]
    return short, max(lengths, default=None)


def _budget_lines(tests: Sequence[StepResult]) -> List[str]:
    lines = []
    for step in tests:
        budget = step.tags.get("pytest.budget_j")
        if budget is None or step.quality == PENDING:
            continue
        budget_j = float(budget)
        said = verdict(budget_j, step.energy_j, step.u95_j, step.quality)
        if said == EXCEEDED:
            lines.append(f"budget exceeded: {one_line(step.name)}: {over_budget_text(step, budget_j)}")
        elif said != KEPT:
            shown = energy_wh(step.energy_j, step.u95_j, step.quality)
            lines.append(f"budget undecided: {one_line(step.name)}: {shown}, budget {budget_j / 3600:.6g} Wh")
    return lines
