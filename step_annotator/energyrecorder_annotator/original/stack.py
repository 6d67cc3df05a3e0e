"""One stack of sessions per environment: what the original's calls mean as steps.

The original knew one current (scenario, step) per environment; its decorator nested scenarios by asking for
the current one before, and posting it again after. Here each such scenario is a scenario of its own within
the one below, its step an implicit one. Pure: from what is known to the events that follow.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from energyrecorder_annotator.clocks import ServerTime
from energyrecorder_annotator.lifecycle import SetStep, Start, Step, StepRefusedError, StepView, Stop
from energyrecorder_annotator.lifecycle.events import Event
from energyrecorder_annotator.lifecycle.model import LEGACY_PREFIX, is_legacy

UNNAMED = "n/s"
"""What the original wrote where there is no scenario; an empty name is accepted and stored so."""

NewId = Callable[[], str]


def new_id() -> str:
    """Return the id of a step that the original API records."""
    return f"{LEGACY_PREFIX}{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Session:
    """What the original calls a running scenario: the top of the stack."""

    environment: str
    scenario: str
    step: str

    @classmethod
    def of(cls, env: str, top: Step, open_step: Step | None) -> Session:
        """Return the session that a scenario and its open step stand for."""
        scenario = "" if top.scenario == UNNAMED else top.scenario
        return cls(env, scenario, "" if open_step is None or open_step.step is None else open_step.step)


def stack(view: StepView, env: str) -> list[Step]:
    """Return the open scenarios of the stack, the lowest first."""
    runs = [run for run in view.open_runs(env) if is_legacy(run.step_id)]
    found: list[Step] = []
    following = runs[-1:]
    while following:
        found.append(following[-1])
        children = view.children(found[-1].step_id)
        inner = [c for c in children if c.end_ns is None and is_legacy(c.step_id) and not c.implicit]
        following = sorted(inner, key=lambda child: child.start_ns)
    return found


def session(view: StepView, env: str) -> Session | None:
    """Return the top of the stack, or None when nothing runs."""
    open_scenarios = stack(view, env)
    return (
        Session.of(env, open_scenarios[-1], _open_step(view, open_scenarios[-1])) if open_scenarios else None
    )


def session_at(env: str, steps: Sequence[Step], t_ns: int) -> Session | None:
    """Return the session that ran at a time, or None.

    Args:
        env: Environment.
        steps: Steps of it, those of others than the original API do not count.
        t_ns: When, ns since the Unix epoch.
    """
    known = [
        step
        for step in steps
        if is_legacy(step.step_id) and step.start_ns <= t_ns and (step.end_ns is None or t_ns < step.end_ns)
    ]
    top = max((s for s in known if not s.implicit), key=lambda s: (s.depth, s.start_ns), default=None)
    if top is None:
        return None
    inner = [step for step in known if step.implicit and step.parent_id == top.step_id]
    return Session.of(env, top, max(inner, key=lambda step: step.start_ns, default=None))


def start(
    view: StepView,
    env: str,
    scenario: str,
    step: str,
    *,
    time: ServerTime,
    ttl_s: float,
    make_id: NewId = new_id,
) -> list[Event]:
    """Return what follows from posting (scenario, step).

    Nothing open: a new run. The top's scenario: its next step. That of a lower one: everything above it ends
    and it goes on. Anything else: a scenario within the top.
    """
    name = scenario or UNNAMED
    open_scenarios = stack(view, env)
    for depth in reversed(range(len(open_scenarios))):
        if open_scenarios[depth].scenario == name:
            known = open_scenarios[depth]
            return [
                *_ends(open_scenarios[depth + 1 :], time),
                *_next_step(view, known, step, time=time, make_id=make_id),
            ]
    begun = Start(
        step_id=make_id(),
        env=env,
        scenario=name,
        time=time,
        parent_id=open_scenarios[-1].step_id if open_scenarios else None,
        ttl_s=ttl_s,
        claim=f"time:{time.t_ns}",
    )
    return [begun, *([_set_step(begun.step_id, env, step, time, make_id)] if step else [])]


def set_step(
    view: StepView, env: str, step: str, *, time: ServerTime, make_id: NewId = new_id
) -> list[Event]:
    """Return what follows from posting a step alone: it replaces the open one of the top.

    Raises:
        StepRefusedError: Nothing runs (``no_open_run``).
    """
    return _next_step(view, _must_run(view, env)[-1], step, time=time, make_id=make_id)


def stop(view: StepView, env: str, *, time: ServerTime) -> list[Event]:
    """Return what follows from the end of the session: every open scenario ends.

    Raises:
        StepRefusedError: Nothing runs (``no_open_run``).
    """
    return _ends(_must_run(view, env), time)


def _must_run(view: StepView, env: str) -> list[Step]:
    open_scenarios = stack(view, env)
    if not open_scenarios:
        raise StepRefusedError(f"no open run in {env!r}", code="no_open_run")
    return open_scenarios


def _ends(scenarios: Sequence[Step], time: ServerTime) -> list[Event]:
    return [Stop(step_id=one.step_id, outcome="passed", time=time) for one in reversed(scenarios)]


def _next_step(view: StepView, scenario: Step, step: str, *, time: ServerTime, make_id: NewId) -> list[Event]:
    before = _open_step(view, scenario)
    if step:
        # Posting the same step again changed nothing in the original either: names are all it knew.
        same = before is not None and before.step == step
        return [] if same else [_set_step(scenario.step_id, scenario.env, step, time, make_id)]
    return [] if before is None else [Stop(step_id=before.step_id, outcome="passed", time=time)]


def _set_step(run_id: str, env: str, step: str, time: ServerTime, make_id: NewId) -> SetStep:
    return SetStep(step_id=make_id(), env=env, step=step, time=time, run_id=run_id, claim=f"time:{time.t_ns}")


def _open_step(view: StepView, scenario: Step) -> Step | None:
    steps = [c for c in view.children(scenario.step_id) if c.implicit and c.end_ns is None]
    return max(steps, key=lambda child: child.start_ns, default=None)
