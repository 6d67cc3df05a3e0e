"""A step as the annotator knows it, and what the state machine must be able to look up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from energyrecorder.errors import EnergyError

RUNNING = "running"
LOST = "lost"

BY_STOP = "stop"
BY_NEXT = "next"
BY_PARENT = "parent"
BY_SILENCE = "silence"
"""What ended a step: its own stop, the next implicit step, its parent's stop, or nothing heard of it."""

START_MISSING = "start_missing"
END_BEFORE_START = "end_before_start"
PARENT_MISSING = "parent_missing"

DEFAULT_TTL_S = 6 * 3600.0

LEGACY_PREFIX = "legacy:"
"""Begins the ids of what the original API recorded: its sessions stay apart from those of ``/v1``."""


def is_legacy(step_id: str) -> bool:
    """Tell whether a step belongs to a session of the original API."""
    return step_id.startswith(LEGACY_PREFIX)


class SeriesKey(NamedTuple):
    """What identifies the series of `energy_steps` a step is written to."""

    env: str
    scenario: str
    step: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One instance of a step or, when it has no ``step`` name, of a scenario.

    Args:
        step_id: Id, from the client where it gave one.
        run_id: Step id of the root; its own while its parent has not been heard of.
        parent_id: Enclosing instance as the client named it; None for a scenario at the top.
        env: Environment.
        scenario: Name of the scenario.
        step: Name of the step; None for a scenario.
        group: What a CI system calls a run or build; inherited.
        title: Short text; None if not given.
        url: Link; None if not given.
        tags: Free tags.
        work: Units of work done, for energy per unit; None if not given.
        servers: Ids or globs of the servers it runs on, inherited; None means all of ``env``.
        ttl_s: Silence after which it counts as lost, seconds.
        implicit: Opened by "set step": the next implicit step of its parent closes it.
        state: One of `energyrecorder.schema.STEP_STATES`.
        exit_code: Of a wrapped command; None if not given.
        start_ns: By our clock, ns since the Unix epoch; frozen once ``started``.
        end_ns: None while it runs; never before ``start_ns``.
        stop_ns: End as its own stop reported it; None without one.
        stop_state: State its own stop reported; None without one.
        ended_by: None while it runs, else ``stop``, ``next``, ``parent`` or ``silence``.
        started: Whether its start has been received; False for one known from its stop only.
        start_claim: Time of the start as the client named it, to tell a replay from a conflict.
        depth: Nesting depth; 0 = root.
        clock_error_ns: Half width of what its edges may be off by.
        time_flags: Why its edges deserve less trust (`energyrecorder_annotator.clocks`).
        version: Counts its changes, from 1.
    """

    step_id: str
    run_id: str
    parent_id: str | None
    env: str
    scenario: str
    step: str | None
    group: str | None = None
    title: str | None = None
    url: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    work: float | None = None
    servers: tuple[str, ...] | None = None
    ttl_s: float = DEFAULT_TTL_S
    implicit: bool = False
    state: str = RUNNING
    exit_code: int | None = None
    start_ns: int = 0
    end_ns: int | None = None
    stop_ns: int | None = None
    stop_state: str | None = None
    ended_by: str | None = None
    started: bool = True
    start_claim: str = ""
    depth: int = 0
    clock_error_ns: int = 0
    time_flags: tuple[str, ...] = ()
    version: int = 0

    @property
    def series(self) -> SeriesKey:
        """The series its point belongs to."""
        return SeriesKey(self.env, self.scenario, self.step)

    @property
    def until_ns(self) -> int:
        """Its end; while it runs its start, so that its span is empty."""
        return self.start_ns if self.end_ns is None else self.end_ns

    @property
    def flags(self) -> tuple[str, ...]:
        """Everything a reader should know before trusting its edges or its place in the tree."""
        flags = list(self.time_flags)
        if not self.started:
            flags.append(START_MISSING)
        if self.started and self.stop_ns is not None and self.stop_ns < self.start_ns:
            flags.append(END_BEFORE_START)
        if self.parent_id is not None and self.run_id == self.step_id:
            flags.append(PARENT_MISSING)
        return tuple(flags)

    def brief(self) -> dict[str, Any]:
        """Return what callers and receivers are told of it at least, ready for JSON."""
        return {
            "step_id": self.step_id,
            "run_id": self.run_id,
            "parent_id": self.parent_id,
            "env": self.env,
            "scenario": self.scenario,
            "step": self.step,
            "state": self.state,
            "started_ns": self.start_ns,
            "ended_ns": self.end_ns,
            "flags": list(self.flags),
        }

    @property
    def closed_for_good(self) -> bool:
        """Whether it ended by something said, not by silence."""
        return self.ended_by in {BY_STOP, BY_NEXT, BY_PARENT}


class StepView(Protocol):
    """What is known before an event: the only things the state machine may ask."""

    def step(self, step_id: str) -> Step | None:
        """Return the step with this id, or None."""

    def children(self, step_id: str) -> Sequence[Step]:
        """Return every step whose ``parent_id`` this is, open or not."""

    def open_runs(self, env: str) -> Sequence[Step]:
        """Return the roots of ``env`` that are running, oldest first."""

    def free_start_ns(self, series: SeriesKey, wanted_ns: int) -> int:
        """Return the first start not before ``wanted_ns`` that no started step of the series has.

        InfluxDB would overwrite one of two points with equal tags and time.
        """


class StepRefusedError(EnergyError):
    """An event contradicts what is known, or names what is not known.

    Args:
        message: One line; foreign text in it is quoted.
        code: ``unknown_step``, ``no_open_run``, ``several_open_runs``, ``conflict``, ``forbidden_env`` or
            ``too_many_open_steps``.
        details: What a program needs to react.
    """

    def __init__(self, message: str, *, code: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details or {})
