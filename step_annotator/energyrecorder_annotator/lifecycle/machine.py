"""The state machine of steps: one event and what is known give an answer and the steps that change.

Events may come nested, parallel, late, out of order and more than once. Whatever the interleaving, each step
is recorded once and ends up the same; two events that contradict each other are told apart from a replay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from energyrecorder_annotator.clocks import ServerTime
from energyrecorder_annotator.lifecycle.draft import Draft
from energyrecorder_annotator.lifecycle.events import Event, Heartbeat, Patch, SetStep, Start, Stop
from energyrecorder_annotator.lifecycle.model import (
    BY_SILENCE,
    BY_STOP,
    DEFAULT_TTL_S,
    LOST,
    RUNNING,
    Step,
    StepRefusedError,
    StepView,
    is_legacy,
)
from energyrecorder_annotator.lifecycle.tree import arrange_implicit, link, refuse_cycle, relink_below

SAME_TIME_NS = 1_000_000_000
"""Two starts given in different ways within this and their errors are the same start."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an event.

    Args:
        new: Whether the event was new; False for a replay that changes nothing.
        step: The step it was about, after it.
        changed: Every step to write, that one included when it changed.
    """

    new: bool
    step: Step
    changed: tuple[Step, ...]


def apply(event: Event, view: StepView) -> Decision:
    """Return what follows from ``event``.

    Raises:
        StepRefusedError: It contradicts what is known or names what is not known.
    """
    if isinstance(event, Start):
        return _start(event, view, implicit=False)
    if isinstance(event, Stop):
        return _stop(event, view)
    if isinstance(event, SetStep):
        return _set_step(event, view)
    if isinstance(event, Heartbeat):
        return _heartbeat(event, view)
    return _patch(event, view)


def expire(step_id: str, alive_ns: int, view: StepView) -> Decision | None:
    """Return the loss of a step of which nothing was heard for its ``ttl_s``; None if it is not running.

    Args:
        step_id: The step.
        alive_ns: Last sign of life of its run, ns since the Unix epoch: it ended then.
        view: What is known.
    """
    step = view.step(step_id)
    if step is None or step.state != RUNNING:
        return None
    draft = Draft(view)
    end_ns = max(alive_ns, step.start_ns)
    lost = draft.put(replace(step, state=LOST, ended_by=BY_SILENCE, end_ns=end_ns))
    return Decision(new=True, step=lost, changed=draft.changed)


def _start(event: Start, view: StepView, *, implicit: bool) -> Decision:
    draft = Draft(view)
    known = draft.step(event.step_id)
    if known is not None:
        _refuse_other_place(known, event)
    if known is not None and known.started:
        _refuse_other_start(known, event)
        return Decision(new=False, step=known, changed=())
    refuse_cycle(draft, event.step_id, event.parent_id)
    step = _begun(event, implicit=implicit) if known is None else _filled(known, event, implicit=implicit)
    step = link(draft, replace(step, start_ns=draft.free_start_ns(step.series, event.time.t_ns)))
    if step.stop_ns is not None:
        step = replace(step, end_ns=max(step.stop_ns, step.start_ns))
    draft.put(step)
    relink_below(draft, step)
    if step.implicit:
        arrange_implicit(draft, step.parent_id)
    arrange_implicit(draft, step.step_id)
    return Decision(new=True, step=_current(draft, step), changed=draft.changed)


def _begun(event: Start, *, implicit: bool) -> Step:
    return Step(
        step_id=event.step_id,
        run_id=event.step_id,
        parent_id=event.parent_id,
        env=event.env,
        scenario=event.scenario,
        step=event.step,
        group=event.group,
        title=event.title,
        url=event.url,
        tags=dict(event.tags),
        work=event.work,
        servers=event.servers,
        ttl_s=DEFAULT_TTL_S if event.ttl_s is None else event.ttl_s,
        implicit=implicit,
        start_claim=event.claim,
        clock_error_ns=event.time.error_ns,
        time_flags=event.time.flags,
    )


def _filled(known: Step, event: Start, *, implicit: bool) -> Step:
    """Return a step that its stop created, with what its start says where it is empty."""
    return replace(
        known,
        parent_id=known.parent_id if known.parent_id is not None else event.parent_id,
        step=known.step if known.step is not None else event.step,
        group=known.group if known.group is not None else event.group,
        title=known.title if known.title is not None else event.title,
        url=known.url if known.url is not None else event.url,
        tags={**event.tags, **known.tags},
        work=known.work if known.work is not None else event.work,
        servers=known.servers if known.servers is not None else event.servers,
        ttl_s=known.ttl_s if event.ttl_s is None else event.ttl_s,
        implicit=implicit,
        started=True,
        start_claim=event.claim,
        **_trust(known, event.time),
    )


def _stop(event: Stop, view: StepView) -> Decision:
    draft = Draft(view)
    known = draft.step(event.step_id)
    if known is None:
        known = _known_from_stop(event, draft)
    elif known.stop_ns is not None:
        return Decision(new=False, step=known, changed=())
    stopped = replace(
        known,
        state=event.outcome,
        stop_state=event.outcome,
        exit_code=event.exit_code,
        stop_ns=event.time.t_ns,
        end_ns=max(event.time.t_ns, known.start_ns),
        ended_by=BY_STOP,
        **_trust(known, event.time),
    )
    draft.put(stopped)
    if stopped.implicit:
        arrange_implicit(draft, stopped.parent_id)
    arrange_implicit(draft, stopped.step_id)
    return Decision(new=True, step=_current(draft, stopped), changed=draft.changed)


def _known_from_stop(event: Stop, draft: Draft) -> Step:
    if event.env is None or event.scenario is None:
        raise StepRefusedError(f"no step {event.step_id!r}", code="unknown_step")
    refuse_cycle(draft, event.step_id, event.parent_id)
    step = Step(
        step_id=event.step_id,
        run_id=event.step_id,
        parent_id=event.parent_id,
        env=event.env,
        scenario=event.scenario,
        step=event.step,
        start_ns=event.time.t_ns,
        started=False,
    )
    linked = link(draft, step)
    draft.put(linked)
    relink_below(draft, linked)
    return linked


def _set_step(event: SetStep, view: StepView) -> Decision:
    known = view.step(event.step_id)
    if known is not None and known.implicit and known.started:
        parent_id = event.run_id if event.run_id is not None else known.parent_id
        if (known.env, known.step, known.parent_id) == (event.env, event.step, parent_id):
            return Decision(new=False, step=known, changed=())
        raise StepRefusedError(f"step {event.step_id!r} is another step already", code="conflict")
    run = _open_run(event, view)
    start = Start(
        step_id=event.step_id,
        env=run.env,
        scenario=run.scenario,
        step=event.step,
        parent_id=run.step_id,
        ttl_s=run.ttl_s,
        time=event.time,
        claim=event.claim,
    )
    return _start(start, view, implicit=True)


def _open_run(event: SetStep, view: StepView) -> Step:
    if event.run_id is not None:
        run = view.step(event.run_id)
        ended = run is not None and run.closed_for_good and (run.end_ns or 0) <= event.time.t_ns
        if run is None or ended or run.env != event.env:
            raise StepRefusedError(f"no open run {event.run_id!r} in {event.env!r}", code="no_open_run")
        return run
    runs = [run for run in view.open_runs(event.env) if not is_legacy(run.step_id)]
    if not runs:
        raise StepRefusedError(f"no open run in {event.env!r}", code="no_open_run")
    if len(runs) > 1:
        listed = [{"run_id": run.step_id, "scenario": run.scenario} for run in runs]
        raise StepRefusedError(
            f"{len(runs)} open runs in {event.env!r}; name one by run_id",
            code="several_open_runs",
            details={"runs": listed},
        )
    return runs[0]


def _heartbeat(event: Heartbeat, view: StepView) -> Decision:
    draft = Draft(view)
    known = _must_know(draft, event.step_id)
    if known.ended_by == BY_SILENCE:
        # Silence was only inferred: a renewal that got stuck in the network shows that the step lives.
        known = draft.put(replace(known, state=RUNNING, ended_by=None, end_ns=None))
    return Decision(new=bool(draft.changed), step=known, changed=draft.changed)


def _patch(event: Patch, view: StepView) -> Decision:
    draft = Draft(view)
    known = _must_know(draft, event.step_id)
    patched = draft.put(
        replace(
            known,
            tags={**known.tags, **event.tags},
            title=known.title if event.title is None else event.title,
            url=known.url if event.url is None else event.url,
            work=known.work if event.work is None else event.work,
        )
    )
    return Decision(new=bool(draft.changed), step=patched, changed=draft.changed)


def _must_know(draft: Draft, step_id: str) -> Step:
    known = draft.step(step_id)
    if known is None:
        raise StepRefusedError(f"no step {step_id!r}", code="unknown_step")
    return known


def _current(draft: Draft, step: Step) -> Step:
    return draft.step(step.step_id) or step


def _trust(known: Step, time: ServerTime) -> dict[str, Any]:
    flags = tuple(sorted({*known.time_flags, *time.flags}))
    return {"clock_error_ns": max(known.clock_error_ns, time.error_ns), "time_flags": flags}


def _refuse_other_place(known: Step, event: Start) -> None:
    said = {"env": event.env, "scenario": event.scenario, "step": event.step, "parent_id": event.parent_id}
    for name, value in said.items():
        before = getattr(known, name)
        # What a stop alone or a start without parent left open is no contradiction.
        open_before = before is None and (name == "parent_id" or not known.started)
        if before != value and not open_before and not (name == "parent_id" and value is None):
            raise StepRefusedError(
                f"step {event.step_id!r} is known with another {name}",
                code="conflict",
                details={name: before},
            )


def _refuse_other_start(known: Step, event: Start) -> None:
    if not known.start_claim or not event.claim or known.start_claim == event.claim:
        return
    same_kind = known.start_claim.split(":", 1)[0] == event.claim.split(":", 1)[0]
    apart_ns = abs(known.start_ns - event.time.t_ns)
    if same_kind or apart_ns > SAME_TIME_NS + known.clock_error_ns + event.time.error_ns:
        raise StepRefusedError(
            f"step {event.step_id!r} is known with another start",
            code="conflict",
            details={"started_ns": known.start_ns},
        )
