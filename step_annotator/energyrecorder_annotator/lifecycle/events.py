"""The events that steps are made of, with their times already on the annotator's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from energyrecorder_annotator.clocks import ServerTime


@dataclass(frozen=True, slots=True)
class Start:
    """A step or scenario began; see `Step` for the fields.

    Args:
        time: When.
        claim: That time as the client named it; empty if it named none.
        ttl_s: None means the default.
    """

    step_id: str
    env: str
    scenario: str
    time: ServerTime
    step: str | None = None
    parent_id: str | None = None
    group: str | None = None
    servers: tuple[str, ...] | None = None
    title: str | None = None
    url: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    work: float | None = None
    ttl_s: float | None = None
    claim: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """A step ended.

    Args:
        outcome: One of `energyrecorder.schema.OUTCOMES`.
        env: With ``scenario``: lets a stop that overtakes its start create the step.
    """

    step_id: str
    outcome: str
    time: ServerTime
    exit_code: int | None = None
    env: str | None = None
    scenario: str | None = None
    step: str | None = None
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class SetStep:
    """The open implicit step of a run ends and the next begins.

    Args:
        run_id: None means the only open run of ``env``.
    """

    step_id: str
    env: str
    step: str
    time: ServerTime
    run_id: str | None = None
    claim: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A step is still running."""

    step_id: str


@dataclass(frozen=True, slots=True)
class Patch:
    """More about a step: tags are merged, the rest replaces; None leaves as it is."""

    step_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None
    url: str | None = None
    work: float | None = None


Event = Start | Stop | SetStep | Heartbeat | Patch
