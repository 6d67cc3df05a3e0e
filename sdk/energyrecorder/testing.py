"""For tests of code that records: keeps what it records in memory instead of sending it.

Example:
    with recorded() as steps:
        my_suite.run()
    assert steps.tree() == [("functest", [("boot", []), ("traffic", [])])]
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Optional, Tuple

from energyrecorder.api import enable_recording
from energyrecorder.clock import Instant

Tree = List[Tuple[str, Any]]


class RecordedStep:
    """One scenario or step that was recorded.

    Args:
        event: Its start.
        parent: What it lies in; None for a run.
    """

    def __init__(self, event: Dict[str, Any], parent: Optional[RecordedStep]) -> None:
        self.step_id: str = event["step_id"]
        self.scenario: str = event["scenario"]
        self.step: Optional[str] = event.get("step")
        self.servers: Tuple[str, ...] = tuple(event.get("servers", ()))
        self.tags: Dict[str, str] = dict(event.get("tags", {}))
        self.work: Optional[float] = event.get("work")
        self.title: Optional[str] = None
        self.parent = parent
        self.children: List[RecordedStep] = []
        self.outcome: Optional[str] = None
        self.exit_code: Optional[int] = None
        self._started: Instant = event["at"]
        self._ended: Optional[Instant] = None

    def __repr__(self) -> str:
        return f"<{self.name!r} {self.outcome or 'open'}>"

    @property
    def name(self) -> str:
        """Name of the step, or of the scenario where it is one."""
        return self.scenario if self.step is None else self.step

    @property
    def duration_s(self) -> Optional[float]:
        """Length in seconds; None while it is open."""
        return None if self._ended is None else (self._ended.boot_ns - self._started.boot_ns) / 1e9

    def stop(self, event: Dict[str, Any]) -> None:
        """Take note of its end; the first one counts."""
        if self.outcome is None:
            self.outcome, self.exit_code, self._ended = event["outcome"], event.get("exit_code"), event["at"]

    def patch(self, event: Dict[str, Any]) -> None:
        """Take note of more about it."""
        self.tags.update(event.get("tags", {}))
        self.work = event.get("work", self.work)
        self.title = event.get("title", self.title)


class RecordedSteps:
    """Everything that was recorded within `recorded`, in the order of the starts."""

    def __init__(self) -> None:
        self.steps: List[RecordedStep] = []
        self.marks: List[str] = []
        self._by_id: Dict[str, RecordedStep] = {}

    def __iter__(self) -> Iterator[RecordedStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, name: str) -> RecordedStep:
        """Return the first step or scenario called ``name``.

        Raises:
            KeyError: None is.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(f"{name!r} was not recorded; these were: {self.names()}")

    def names(self) -> List[str]:
        """Return the names in the order of the starts."""
        return [step.name for step in self.steps]

    def outcomes(self) -> Dict[str, Optional[str]]:
        """Return the outcome of each name, None for what is still open; of equal names the last counts."""
        return {step.name: step.outcome for step in self.steps}

    def tree(self) -> Tree:
        """Return the runs as nested ``(name, children)`` pairs."""
        return [_branch(step) for step in self.steps if step.parent is None]

    def take(self, event: Dict[str, Any]) -> None:
        """Take an event from the recorder; thread-safe as lists are."""
        known = self._by_id.get(event.get("step_id", ""))
        if event["op"] == "start":
            step = RecordedStep(event, self._by_id.get(event.get("parent_id", "")))
            self._by_id[step.step_id] = step
            self.steps.append(step)
            if step.parent is not None:
                step.parent.children.append(step)
        elif event["op"] == "mark":
            self.marks.append(event["title"])
        elif known is not None and event["op"] == "stop":
            known.stop(event)
        elif known is not None and event["op"] == "patch":
            known.patch(event)


def _branch(step: RecordedStep) -> Tuple[str, Tree]:
    return step.name, [_branch(child) for child in step.children]


@contextlib.contextmanager
def recorded() -> Iterator[RecordedSteps]:
    """Record into memory: nothing of the block is sent, and nothing that is open around it is seen.

    Holds for the whole process, threads included; blocks may be nested, the innermost records.
    """
    steps = RecordedSteps()
    with enable_recording("testing").recorder.diverted(steps.take):
        yield steps
