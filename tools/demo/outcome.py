"""What the demo found: every step beside the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.lab import ENV, Lab, LabError

COVERED = 1.5
"""A step passes if its error is at most this multiple of its 95 % interval's half width."""
LEAST_MEASURABLE = 4
MEASURABLE = ("resolved", "coarse")

Step = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All runs, as the annotator tells them.

    Args:
        runs: Answers of ``GET /v1/runs/{id}``, in the order of their start.
        steps: Roots and steps of all runs, in the order of their start.
        true_j: True energy by step id.
    """

    runs: Sequence[Mapping[str, Any]]
    steps: Sequence[Step]
    true_j: Mapping[str, float]

    def leaves(self) -> list[Step]:
        """Return the steps without the scenarios around them."""
        return [step for step in self.steps if step["step"] is not None]


def wait_for_outcome(lab: Lab, *, deadline: float) -> Outcome:
    """Return the outcome once every step has its result.

    Args:
        lab: Where to ask.
        deadline: Of ``time.monotonic``, seconds.

    Raises:
        LabError: A step has no result by then.
    """
    while True:
        runs = [
            lab.get(f"/v1/runs/{run['run_id']}") for run in lab.get("/v1/runs", env=ENV, limit=50)["runs"]
        ]
        steps = [step for run in runs for step in (run["run"], *run["steps"])]
        waiting = [step["step"] or step["scenario"] for step in steps if step["result"] is None]
        if steps and not waiting:
            break
        if time.monotonic() > deadline:
            raise LabError(f"no result for {', '.join(waiting)}; see {lab.folder}")
        time.sleep(0.3)
    return Outcome(
        runs=sorted(runs, key=lambda run: run["run"]["started_ns"]),
        steps=sorted(steps, key=lambda step: (step["started_ns"], step["depth"])),
        true_j={step["step_id"]: lab.truth_j(step["started_ns"], step["ended_ns"]) for step in steps},
    )


def result_json(lab: Lab, outcome: Outcome) -> dict[str, Any]:
    """Return what build/demo/result.json holds."""
    protocols = {"ilo" if bmc["protocol"].startswith("ilo") else bmc["protocol"] for bmc in lab.bmcs}
    entries = [
        {
            "scenario": step["scenario"],
            "step": step["step"],
            "duration_s": step["duration_s"],
            "energy_j": step["result"]["energy_j"],
            "u95_j": step["result"]["u95_j"],
            "true_j": outcome.true_j[step["step_id"]],
            "quality": step["result"]["quality"],
        }
        for step in outcome.leaves()
    ]
    return {"servers": len(lab.bmcs), "protocols": sorted(protocols), "steps": entries}


def print_table(outcome: Outcome) -> None:
    """Print the steps, their energy with its interval, and the truth."""
    print(f"\n{'step':26} {'duration':>9} {'energy ± 95 %':>21} {'truth':>9}  {'quality':12} servers")
    for step in outcome.steps:
        result = step["result"]
        name = f"  {step['step']}" if step["step"] is not None else step["scenario"]
        energy = f"{result['energy_j'] / 3600:.2f} ± {result['u95_j'] / 3600:.2f} Wh"
        truth = f"{outcome.true_j[step['step_id']] / 3600:.2f} Wh"
        numbers = f"{step['duration_s']:7.1f} s {energy:>21} {truth:>9}"
        print(f"{name:26.26} {numbers}  {result['quality']:12} {result['servers']}")
    leaves = outcome.leaves()
    inside = sum(_error_j(step, outcome) <= step["result"]["u95_j"] for step in leaves)
    print(f"\nThe true energy lies inside the interval of {inside} of {len(leaves)} steps.")


def judge(outcome: Outcome) -> int:
    """Return 0 if at least four steps are measurable and each of these covers the truth, else 1."""
    measurable = [step for step in outcome.leaves() if step["result"]["quality"] in MEASURABLE]
    missed = [step for step in measurable if _error_j(step, outcome) > COVERED * step["result"]["u95_j"]]
    for step in missed:
        print(f"demo: the interval of {step['step']} does not cover the truth")
    if len(measurable) < LEAST_MEASURABLE:
        print(f"demo: only {len(measurable)} steps could be measured")
    return 1 if missed or len(measurable) < LEAST_MEASURABLE else 0


def _error_j(step: Step, outcome: Outcome) -> float:
    return abs(float(step["result"]["energy_j"]) - outcome.true_j[step["step_id"]])
