"""What the demo found: every step beside the truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from demo.lab import ENV, Lab, LabError

COVERED = 1.5
"""A step passes if its error is at most this multiple of its 95 % interval's half width."""

Step = dict[str, Any]


def steps_of(lab: Lab, *, deadline: float) -> list[Step]:
    """Return all finished steps in the order of their start, each with ``true_j``, once all have results.

    Args:
        lab: Where to ask.
        deadline: Of ``time.monotonic``, seconds.
    """
    while True:
        runs = lab.get("/v1/runs", env=ENV, limit=50)["runs"]
        details = [lab.get(f"/v1/runs/{run['run_id']}") for run in runs]
        steps: list[Step] = [
            step for detail in details for step in detail["steps"] if step["step"] is not None
        ]
        roots: list[Step] = [detail["run"] for detail in details]
        if all(step["result"] is not None for step in (*steps, *roots)):
            break
        if time.monotonic() > deadline:
            waiting = [
                step["step"] or step["scenario"] for step in (*steps, *roots) if step["result"] is None
            ]
            raise LabError(f"no result for {', '.join(waiting)}; see {lab.folder}")
        time.sleep(0.3)
    for step in (*steps, *roots):
        step["true_j"] = lab.truth_j(step["started_ns"], step["ended_ns"])
    return sorted((*roots, *steps), key=lambda step: (step["started_ns"], step["depth"]))


def result_json(lab: Lab, steps: Sequence[Step]) -> dict[str, Any]:
    """Return what build/demo/result.json holds."""
    protocols = {"ilo" if bmc["protocol"].startswith("ilo") else bmc["protocol"] for bmc in lab.bmcs}
    entries = [
        {
            "scenario": step["scenario"],
            "step": step["step"],
            "duration_s": step["duration_s"],
            "energy_j": step["result"]["energy_j"],
            "u95_j": step["result"]["u95_j"],
            "true_j": step["true_j"],
            "quality": step["result"]["quality"],
        }
        for step in steps
        if step["step"] is not None
    ]
    return {"servers": len(lab.bmcs), "protocols": sorted(protocols), "steps": entries}


def print_table(steps: Sequence[Step]) -> None:
    """Print the steps, their energy with its interval, and the truth."""
    print(f"\n{'step':26} {'duration':>9} {'energy ± 95 %':>22} {'truth':>10}  {'quality':12} servers")
    for step in steps:
        result = step["result"]
        name = f"  {step['step']}" if step["step"] is not None else step["scenario"]
        energy = f"{result['energy_j'] / 3600:9.3f} ± {result['u95_j'] / 3600:.3f} Wh"
        truth = f"{step['true_j'] / 3600:.3f} Wh"
        numbers = f"{step['duration_s']:7.1f} s {energy:>22} {truth:>10}"
        print(f"{name:26.26} {numbers}  {result['quality']:12} {result['servers']}")


def judge(steps: Sequence[Step]) -> int:
    """Return 0 if at least four steps are measurable and each of these covers the truth, else 1."""
    measurable = [
        s for s in steps if s["step"] is not None and s["result"]["quality"] in ("resolved", "coarse")
    ]
    missed = [
        s for s in measurable if abs(s["result"]["energy_j"] - s["true_j"]) > COVERED * s["result"]["u95_j"]
    ]
    for step in missed:
        print(f"demo: the interval of {step['step']} does not cover the truth")
    if len(measurable) < 4:  # noqa: PLR2004  # the demo promises four
        print(f"demo: only {len(measurable)} steps could be measured")
    return 1 if missed or len(measurable) < 4 else 0  # noqa: PLR2004  # as above
