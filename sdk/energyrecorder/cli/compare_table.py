"""A comparison as text for terminals: the verdict, a table, and what stands behind it; all pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from energyrecorder.errors import AnnotatorError
from energyrecorder.figures import (
    UNKNOWN,
    change,
    change_interval,
    energy_in_j,
    energy_wh,
    one_line,
    table,
    wh_or_kwh,
)

_HEAD = (
    "what",
    "verdict",
    "change",
    "interval",
    "time",
    "power",
    "baseline",
    "candidate",
    "in joules",
    "runs",
)
_LONGEST = 200


def comparison_text(answer: Mapping[str, Any]) -> str:
    """Return what ``POST /v1/gate`` answers as text for people.

    Raises:
        AnnotatorError: It is not a comparison.
    """
    try:
        return "\n".join(_lines(answer))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise AnnotatorError("the annotator answered something that is not a comparison") from None


def plain_wh(energy_j: Optional[float]) -> str:
    """Return an energy that has no interval of its own, such as a median, in Wh."""
    if energy_j is None:
        return UNKNOWN
    unit_j, unit = wh_or_kwh(energy_j)
    return f"{energy_j / unit_j:.4g} {unit}"


def _lines(answer: Mapping[str, Any]) -> List[str]:
    candidate = one_line(answer["candidate"]["selector"], _LONGEST)
    lines = [f"energy of {candidate}"]
    if answer["verdict"] is not None:
        baseline = one_line(answer["baseline"]["selector"], _LONGEST)
        lines = [f"{candidate} against {baseline}: {answer['verdict']}"]
        if answer["reason"]:
            lines.append(one_line(answer["reason"], _LONGEST))
    for scenario in answer["scenarios"]:
        lines += ["", one_line(scenario["scenario"]), *_scenario(scenario)]
    for budget in answer["budgets"]:
        lines += ["", _budget(budget, answer["budget_j"])]
    for warning in answer["warnings"]:
        lines += ["", f"note: {one_line(warning['message'], _LONGEST)}"]
    return lines


def _scenario(scenario: Mapping[str, Any]) -> List[str]:
    found = [scenario["whole"], *scenario["steps"]]
    lines = [table(_HEAD, [_row(one) for one in found])]
    # What is as it was needs no words; neither does what has been said above.
    told = [one for one in found if one["reason"] and one["verdict"] != "no-change"]
    lines += [f"  {_name(one)}: {one_line(one['reason'], _LONGEST)}" for one in told if one["step"]]
    for side in ("baseline", "candidate"):
        left_out = scenario["whole"][side]["left_out"]
        if left_out:
            lines.append(f"  left out of the {side}: {_counted(left_out)}")
    return lines


def _row(one: Mapping[str, Any]) -> List[str]:
    baseline, candidate = one["baseline"], one["candidate"]
    joules = [energy_in_plain_j(side["energy_j"]) for side in (baseline, candidate)]
    unit = "/unit" if one["per_work"] else ""
    return [
        ("  " * len(one["step"])) + (_name(one, last=True)),
        str(one["verdict"]),
        change(one["ratio"]),
        change_interval(one["low"], one["high"]),
        change(one["duration_ratio"]),
        change(one["power_ratio"]),
        plain_wh(baseline["energy_j"]) + unit,
        plain_wh(candidate["energy_j"]) + unit,
        " → ".join(joules),
        f"{baseline['runs']} / {candidate['runs']}",
    ]


def energy_in_plain_j(energy_j: Optional[float]) -> str:
    """Return the same in joules."""
    if energy_j is None:
        return UNKNOWN
    return f"{energy_j:,.0f} J" if energy_j >= 1000 else f"{energy_j:.4g} J"  # noqa: PLR2004  # four digits


def _name(one: Mapping[str, Any], *, last: bool = False) -> str:
    names: Sequence[Any] = one["step"]
    if not names:
        return "run as a whole"
    return one_line(names[-1]) if last else " / ".join(map(one_line, names))


def _counted(left_out: Sequence[Mapping[str, Any]]) -> str:
    counts: Dict[str, int] = {}
    for one in left_out:
        reason = one_line(one["reason"], _LONGEST)
        counts[reason] = counts.get(reason, 0) + 1
    return "; ".join(f"{count} x {reason}" for reason, count in counts.items())


def _budget(budget: Mapping[str, Any], budget_j: float) -> str:
    energy = energy_wh(budget["energy_j"], budget["u95_j"])
    joules = energy_in_j(budget["energy_j"], budget["u95_j"])
    measured = f"{energy} ({joules}) over {budget['runs']} runs" if budget["runs"] else "nothing measured"
    told = f"; {one_line(budget['reason'], _LONGEST)}" if budget["reason"] else ""
    name = f"{one_line(budget['scenario'])}: " if budget["scenario"] else ""
    return f"{name}budget of {plain_wh(budget_j)} {budget['verdict']}: {measured}{told}"
