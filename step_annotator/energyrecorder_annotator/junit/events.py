"""The events that the steps of a JUnit file are made of; pure. The same file makes the same events."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from energyrecorder.step_names import step_name
from energyrecorder_annotator.clocks import ServerTime
from energyrecorder_annotator.junit.parse import PASSED, SKIPPED
from energyrecorder_annotator.junit.place import Placed
from energyrecorder_annotator.lifecycle import Start, Stop

_STEPS = uuid.UUID("2f6a3c0e-7d0b-5a58-9b0c-3c1f1b6f6f3d")


@dataclass(frozen=True, slots=True)
class Target:
    """What the steps of a file belong to.

    Args:
        env: Environment.
        scenario: Name of the run; None takes the file's own.
        group: What a CI system calls a run or build; None if not given.
        servers: Ids or globs; None means all of ``env``.
        digest: Of the file.
    """

    env: str
    scenario: str | None
    group: str | None
    servers: tuple[str, ...] | None
    digest: str

    def step_id(self, path: tuple[int, ...]) -> str:
        """Return the id of the step at ``path``, equal for each import of the file."""
        place = "/".join(map(str, path))
        return str(uuid.uuid5(_STEPS, f"{self.digest}\0{self.env}\0{self.scenario or ''}\0{place}"))


def digest_of(raw: bytes) -> str:
    """Return what a file is known by."""
    return hashlib.sha256(raw).hexdigest()


def junit_events(placed: Sequence[Placed], target: Target) -> list[Start | Stop]:
    """Return a start and a stop for each step, those of what lies in it between them.

    Args:
        placed: As `energyrecorder_annotator.junit.place.place` returns them: each before what lies in it.
        target: What they belong to.
    """
    scenario = target.scenario or step_name(placed[0].name or "junit")[0]
    suites = {step.path for step in placed if step.attempt is None}
    events: list[Start | Stop] = []
    around: list[Placed] = []
    for step in placed:
        while around and step.path[: len(around[-1].path)] != around[-1].path:
            events.append(_stop(around.pop(), target))
        events.append(_start(step, scenario, target, suites))
        around.append(step)
    return [*events, *(_stop(step, target) for step in reversed(around))]


def _stop(step: Placed, target: Target) -> Stop:
    outcome = PASSED if step.outcome == SKIPPED else step.outcome
    return Stop(step_id=target.step_id(step.path), outcome=outcome, time=_time(step, step.end_s))


def _start(step: Placed, scenario: str, target: Target, suites: set[tuple[int, ...]]) -> Start:
    name, title = step_name(step.name or "unnamed")
    time = _time(step, step.start_s)
    tags = {"framework": "junit"} if not step.path else {}
    if step.outcome == SKIPPED:
        tags["junit.outcome"] = "skipped"
    if step.attempt is not None:
        tags["junit.attempt"] = str(step.attempt)
    parent = next(
        (step.path[:end] for end in range(len(step.path) - 1, -1, -1) if step.path[:end] in suites), ()
    )
    return Start(
        step_id=target.step_id(step.path),
        env=target.env,
        scenario=scenario,
        step=name if step.path else None,
        parent_id=target.step_id(parent) if step.path else None,
        group=target.group,
        servers=None if step.path else target.servers,
        title=title,
        tags=tags,
        time=time,
        claim=f"time:{time.t_ns}",
    )


def _time(step: Placed, moment_s: float) -> ServerTime:
    # Through whole microseconds: doubles hold no nanoseconds of today.
    return ServerTime(
        t_ns=max(0, round(moment_s * 1e6) * 1000), error_ns=round(step.error_s * 1e9), flags=step.flags
    )
