"""How steps hang together: which run a step belongs to, and where implicit steps begin and end.

Both are worked out anew from the facts after each event, so that the order in which events arrive does not
matter to where they end up.
"""

from __future__ import annotations

from dataclasses import replace

from energyrecorder_annotator.lifecycle.draft import Draft
from energyrecorder_annotator.lifecycle.model import (
    BY_NEXT,
    BY_PARENT,
    BY_SILENCE,
    BY_STOP,
    LOST,
    RUNNING,
    Step,
    StepRefusedError,
)


def refuse_cycle(draft: Draft, step_id: str, parent_id: str | None) -> None:
    """Refuse a parent that is the step itself or lies below it.

    Raises:
        StepRefusedError: It does (``conflict``).
    """
    ancestor_id = parent_id
    while ancestor_id is not None:
        if ancestor_id == step_id:
            raise StepRefusedError(
                f"step {step_id!r} cannot lie within itself",
                code="conflict",
                details={"parent_id": parent_id},
            )
        ancestor = draft.step(ancestor_id)
        ancestor_id = None if ancestor is None else ancestor.parent_id


def link(draft: Draft, step: Step) -> Step:
    """Return ``step`` with run, depth and what it inherits taken from its parent, if that is known."""
    parent = None if step.parent_id is None else draft.step(step.parent_id)
    if parent is None:
        is_root = step.run_id == step.step_id and step.depth == 0
        return step if is_root else replace(step, run_id=step.step_id, depth=0)
    return replace(
        step,
        run_id=parent.run_id,
        depth=parent.depth + 1,
        group=step.group if step.group is not None else parent.group,
        servers=step.servers if step.servers is not None else parent.servers,
    )


def relink_below(draft: Draft, step: Step) -> None:
    """Link everything below ``step`` again: children may have arrived before their parent."""
    waiting = [step]
    while waiting:
        for child in draft.children(waiting.pop().step_id):
            linked = link(draft, child)
            if linked != child:
                waiting.append(draft.put(linked))


def arrange_implicit(draft: Draft, parent_id: str | None) -> None:
    """Let each implicit child of a step end where the next one begins, the last with its parent.

    An implicit step's own stop counts when it is earlier than that.
    """
    parent = None if parent_id is None else draft.step(parent_id)
    if parent is None:
        return
    implicit = [child for child in draft.children(parent.step_id) if child.implicit]
    for child, following in zip(implicit, [*implicit[1:], None], strict=False):
        draft.put(_bounded(child, following, parent))


def _bounded(child: Step, following: Step | None, parent: Step) -> Step:
    bound_ns, bound_by, bound_state = None, None, RUNNING
    if following is not None:
        bound_ns, bound_by, bound_state = following.start_ns, BY_NEXT, "passed"
    if (
        parent.closed_for_good
        and parent.end_ns is not None
        and (bound_ns is None or parent.end_ns < bound_ns)
    ):
        bound_ns, bound_by, bound_state = parent.end_ns, BY_PARENT, parent.state
    if child.stop_ns is not None:
        end_ns = child.stop_ns if bound_ns is None else min(child.stop_ns, bound_ns)
        state = child.stop_state or child.state
        return replace(child, end_ns=max(end_ns, child.start_ns), ended_by=BY_STOP, state=state)
    if bound_ns is not None:
        return replace(child, end_ns=max(bound_ns, child.start_ns), ended_by=bound_by, state=bound_state)
    if child.ended_by == BY_SILENCE:
        return replace(child, state=LOST)
    return replace(child, end_ns=None, ended_by=None, state=RUNNING)
