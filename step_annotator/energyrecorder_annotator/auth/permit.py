"""Keeps callers bound to environments out of the others', event by event."""

from __future__ import annotations

from dataclasses import replace

from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.journal.base import Mark
from energyrecorder_annotator.lifecycle import (
    Heartbeat,
    Patch,
    SetStep,
    Start,
    Step,
    StepRefusedError,
    StepView,
    Stop,
)
from energyrecorder_annotator.lifecycle.events import Event


def permitted(event: Event, caller: Caller, view: StepView) -> Event:
    """Return the event if its caller may cause it.

    Raises:
        StepRefusedError: It is about an environment of others: ``forbidden_env`` where the caller names that
            environment, else as if what it names did not exist.
    """
    if caller.envs is None:
        return event
    env = getattr(event, "env", None)
    if env is not None:
        refuse_env(env, caller)
    _refuse_foreign(view.step(event.step_id), event, caller)
    if isinstance(event, (Start, Stop)) and event.parent_id is not None:
        parent = view.step(event.parent_id)
        if parent is not None and not caller.may_use(parent.env):
            raise StepRefusedError(f"no step {event.parent_id!r} to lie within", code="unknown_step")
    return event


def permitted_mark(mark: Mark, caller: Caller, view: StepView) -> Mark:
    """Return the mark if its caller may set it; it does not reach into runs of other environments.

    Raises:
        StepRefusedError: Its environment is another's (``forbidden_env``).
    """
    if caller.envs is None:
        return mark
    refuse_env(mark.env, caller)
    run = None if mark.run_id is None else view.step(mark.run_id)
    if run is not None and not caller.may_use(run.env):
        return replace(mark, run_id=None)
    return mark


def refuse_env(env: str, caller: Caller) -> None:
    """Refuse an environment that the caller may not use.

    Raises:
        StepRefusedError: That is so (``forbidden_env``).
    """
    if not caller.may_use(env):
        raise StepRefusedError(f"this token may not use environment {env!r}", code="forbidden_env")


def _refuse_foreign(known: Step | None, event: Event, caller: Caller) -> None:
    if known is None or caller.may_use(known.env):
        return
    if isinstance(event, (Heartbeat, Patch, Stop)):
        raise StepRefusedError(f"no step {event.step_id!r}", code="unknown_step")
    if isinstance(event, (Start, SetStep)):
        # Not a word about whose it is.
        raise StepRefusedError(f"step id {event.step_id!r} is taken; choose another", code="conflict")
