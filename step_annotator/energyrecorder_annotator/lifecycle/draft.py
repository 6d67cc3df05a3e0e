"""Changes made by one event, laid over what is known, until they are written all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from energyrecorder_annotator.lifecycle.model import SeriesKey, Step, StepView


class Draft:
    """A view that already shows the changes put into it.

    Args:
        view: What was known before.
    """

    def __init__(self, view: StepView) -> None:
        self._view = view
        self._changed: dict[str, Step] = {}
        # Of the changed ones by parent: a parent that comes last may have a hundred thousand below it.
        self._below: dict[str | None, dict[str, Step]] = {}

    def step(self, step_id: str) -> Step | None:
        """Return the step as changed so far, or None."""
        return self._changed.get(step_id) or self._view.step(step_id)

    def children(self, step_id: str) -> list[Step]:
        """Return the children as changed so far, ordered by start."""
        known = {child.step_id: child for child in self._view.children(step_id)}
        known.update(self._below.get(step_id, {}))
        return sorted(known.values(), key=lambda child: (child.start_ns, child.step_id))

    def open_runs(self, env: str) -> Sequence[Step]:
        """Return the roots of ``env`` that were running before this event."""
        return self._view.open_runs(env)

    def free_start_ns(self, series: SeriesKey, wanted_ns: int) -> int:
        """Return the first free start of the series before this event; one event takes one start at most."""
        return self._view.free_start_ns(series, wanted_ns)

    def put(self, step: Step) -> Step:
        """Take a changed step in and return it with its version; one event counts as one version."""
        before = self._view.step(step.step_id)
        if before is not None and step.version != before.version:
            step = replace(step, version=before.version)
        replaced = self._changed.get(step.step_id)
        if replaced is not None:
            del self._below[replaced.parent_id][step.step_id]
        if step == before:
            self._changed.pop(step.step_id, None)
            return before
        versioned = replace(step, version=1 if before is None else before.version + 1)
        self._changed[step.step_id] = versioned
        self._below.setdefault(step.parent_id, {})[step.step_id] = versioned
        return versioned

    @property
    def changed(self) -> tuple[Step, ...]:
        """Every step this event changed."""
        return tuple(self._changed.values())
