"""Runs as the annotator answers them, typed small: what comparisons read."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

SECOND = 1_000_000_000


def log_sd_of(cv):
    """Return the standard deviation of log energies whose coefficient of variation is ``cv``."""
    return math.sqrt(math.log1p(cv * cv))


def result(energy_j, *, servers=("n1",), u95=0.01, quality="resolved", **more):
    """Return a result whose energy is shared equally by ``servers``."""
    per_server = {
        server: {"sources": ["power_control"], "side": "ac", "by": "bmc", "energy_j": energy_j / len(servers)}
        for server in servers
    }
    return {
        "energy_j": energy_j,
        "u95_j": energy_j * u95,
        "u95_gain_j": None,
        "quality": quality,
        "reason": "" if quality == "resolved" else "a reason",
        "servers": len(servers),
        "expected": len(servers),
        "overlap": 0,
        "per_server": per_server,
        **more,
    }


def step(step_id, energy_j, *, name=None, parent=None, duration_s=60.0, work=None, state="passed", **more):
    """Return one step of a run, or its root; ``energy_j`` None has no result yet."""
    root = parent is None
    return {
        "step_id": step_id,
        "run_id": step_id if root else parent,
        "parent_id": parent,
        "env": "pod1",
        "scenario": "functest",
        "step": name,
        "state": state,
        "started_ns": 0,
        "duration_s": duration_s,
        "tags": {},
        "work": work,
        "result": None if energy_j is None else result(energy_j, **more),
    }


def run(number, energy_j, steps=None, *, at_s=None, scenario="functest", env="pod1", tags=None, **more):
    """Return a run.

    Args:
        number: Makes its id and, unless ``at_s`` says otherwise, its place in time.
        energy_j: Of the whole.
        steps: Energy by name of step.
        at_s: Start.
        scenario: Its name.
        env: Its environment.
        tags: Its tags.
        more: For `step` and `result` of the whole.
    """
    run_id = f"run-{number}"
    whole = step(run_id, energy_j, **more)
    started = {"started_ns": round((number * 100 if at_s is None else at_s) * SECOND)}
    told = {"scenario": scenario, "env": env, **started, "tags": tags or {}}
    inner = [
        {**step(f"{run_id}-{index}", one_j, name=name, parent=run_id), **told}
        for index, (name, one_j) in enumerate((steps or {}).items())
    ]
    return {"run": {**whole, **told}, "steps": inner}


def parsed(text):
    """Return the root of an XML file that we have just written."""
    return ET.fromstring(text.encode())  # noqa: S314  # ours, whatever names it holds


def properties(element):
    """Return the properties of a JUnit suite or case."""
    return {one.get("name"): one.get("value") for one in element.findall("properties/property")}
