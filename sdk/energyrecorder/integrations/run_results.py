"""Asks the annotator for the results of a part of a run, as plugins show them when a session ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from energyrecorder.clock import SystemClock
from energyrecorder.errors import AnnotatorError, ConfigError
from energyrecorder.sdk_settings import load, load_from_variables
from energyrecorder.transport import Transport

PENDING = "pending"
MEASURED = ("resolved", "coarse")
"""Qualities of an energy that may be shown as a figure."""
_LOOK_S = 0.5


@dataclass(frozen=True)
class StepResult:
    """One step as the annotator knows it.

    Args:
        step_id: Its id.
        parent_id: Id of the step around it; None for a root.
        name: Of the step, else of the scenario.
        state: One of `energyrecorder.schema.STEP_STATES`.
        tags: What was stored with it.
        duration_s: Length.
        energy_j: None while pending or when nothing was measured.
        u95_j: Half width of the 95 % interval of ``energy_j``; None when unknown.
        quality: One of `energyrecorder.schema.QUALITIES`.
        reason: Why the quality is not better.
        overlap: Other steps that ran on the same servers meanwhile.
    """

    step_id: str
    parent_id: Optional[str]
    name: str
    state: str
    tags: Mapping[str, str]
    duration_s: float
    energy_j: Optional[float]
    u95_j: Optional[float]
    quality: str
    reason: str
    overlap: int


def read_run(answer: Mapping[str, Any]) -> List[StepResult]:
    """Return the steps of an answer to ``GET /v1/runs/{id}``, its root first.

    Raises:
        AnnotatorError: It is not a run.
    """
    try:
        return [_read_step(item) for item in (answer["run"], *answer["steps"])]
    except (KeyError, TypeError, AttributeError):
        raise AnnotatorError("the annotator answered something that is not a run") from None


def _read_step(item: Mapping[str, Any]) -> StepResult:
    result: Mapping[str, Any] = item.get("result") or {}
    return StepResult(
        step_id=item["step_id"],
        parent_id=item.get("parent_id"),
        name=item.get("step") or item["scenario"],
        state=item["state"],
        tags=item.get("tags") or {},
        duration_s=item.get("duration_s") or 0.0,
        energy_j=result.get("energy_j"),
        u95_j=result.get("u95_j"),
        quality=result.get("quality") or PENDING,
        reason=result.get("reason") or "",
        overlap=result.get("overlap") or 0,
    )


def below(steps: Sequence[StepResult], step_id: str) -> List[StepResult]:
    """Return the step with this id and all that lie in it, in their order; empty when it is not there."""
    inside: Dict[str, bool] = {step_id: True}
    parents = {step.step_id: step.parent_id for step in steps}
    for step in steps:
        path = []
        at: Optional[str] = step.step_id
        while at is not None and at not in inside and at not in path:
            path.append(at)
            at = parents.get(at)
        found = at is not None and inside.get(at, False)
        inside.update(dict.fromkeys(path, found))
    return [step for step in steps if inside.get(step.step_id)]


def fetch_results(run_id: str, step_id: str, *, wait_s: float, once_s: float) -> List[StepResult]:
    """Return the steps below ``step_id``, waiting at most ``wait_s`` seconds for pending results.

    Args:
        run_id: Run to ask for.
        step_id: The step whose inside counts.
        wait_s: Time for pending results; 0 asks once.
        once_s: Bound of each exchange, in seconds.

    Raises:
        AnnotatorError: The annotator does not answer or does not know the run, or was not told of it because
            nobody says which environment this is.
    """
    now = SystemClock().now
    try:
        settings = load(None, Path.cwd())
    except (ConfigError, OSError):
        settings = load_from_variables()
    if settings.env is None:
        raise AnnotatorError("nothing was sent: the environment is not known")
    transport = Transport(settings.url, now=now, authorization=settings.authorization())
    until_ns = now().boot_ns + int(wait_s * 1e9)
    try:
        while True:
            answer = transport.exchange("GET", f"/v1/runs/{quote(run_id, safe='')}", timeout_s=once_s)
            steps = below(read_run(answer), step_id)
            left_s = (until_ns - now().boot_ns) / 1e9
            if left_s <= 0 or (steps and all(step.quality != PENDING for step in steps)):
                return steps
            time.sleep(min(_LOOK_S, left_s))
    finally:
        transport.close()
