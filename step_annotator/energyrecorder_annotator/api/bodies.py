"""What request bodies look like, checked by pydantic, and the events they stand for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from energyrecorder.clock import Instant
from energyrecorder.schema import SERVER_GLOB
from energyrecorder_analysis.timestamp import TIME_ALLOWED, parse_time_ns
from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.clocks import ServerTime, Stamp, server_time
from energyrecorder_annotator.journal.base import Mark
from energyrecorder_annotator.lifecycle import Heartbeat, Patch, SetStep, Start, Stop
from energyrecorder_annotator.recording import NewMark

_MAX_NS = 2**63 - 1
_MARKS = uuid.UUID("6b0f6ac1-8f5f-4c55-9d0b-5d7a1c7f2b1e")


def _time_ns(value: object) -> int:
    try:
        time_ns = parse_time_ns(value)
    except ValueError:
        raise ValueError(f"must be {TIME_ALLOWED}") from None
    if not 0 <= time_ns <= _MAX_NS:
        raise ValueError("must lie between 1970 and 2262")
    return time_ns


def encodable(text: str) -> str:
    """Return ``text`` if UTF-8 can hold it.

    Raises:
        ValueError: It holds half a surrogate pair.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must not hold half a surrogate pair") from None
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _tag_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


Text = Annotated[str, AfterValidator(encodable)]
Name = Annotated[Text, AfterValidator(_not_blank)]
StepId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
ServerPattern = Annotated[str, StringConstraints(pattern=f"^{SERVER_GLOB.pattern}$")]
TimeNs = Annotated[int, BeforeValidator(_time_ns)]
Nanoseconds = Annotated[int, Field(ge=-_MAX_NS, le=_MAX_NS)]
Tags = dict[Text, Annotated[Text, BeforeValidator(_tag_text)]]


class InstantBody(BaseModel):
    """One moment on both clocks of the client."""

    wall_ns: Nanoseconds
    boot_ns: Nanoseconds
    boot_id: Text | None = None

    def instant(self) -> Instant:
        """Return the same as a value."""
        return Instant(wall_ns=self.wall_ns, boot_ns=self.boot_ns, boot_id=self.boot_id)


class RequestClock(BaseModel):
    """What a request says of the client's clocks."""

    now: InstantBody | None = None
    offset_ns: Nanoseconds | None = None
    offset_error_ns: Annotated[int, Field(ge=0, le=_MAX_NS)] | None = None


class Timed(RequestClock):
    """A body that tells of an event."""

    at: InstantBody | None = None

    def stamp(self, clock: RequestClock | None = None, explicit_ns: int | None = None) -> Stamp:
        """Return what is known of the event's time.

        Args:
            clock: The request's, where it is not this body itself (items of a batch).
            explicit_ns: Time given in plain.
        """
        source = clock or self
        return Stamp(
            at=None if self.at is None else self.at.instant(),
            now=None if source.now is None else source.now.instant(),
            offset_ns=source.offset_ns,
            offset_error_ns=source.offset_error_ns,
            explicit_ns=explicit_ns,
        )


@dataclass(frozen=True, slots=True)
class Arrival:
    """When, from whom and with which clocks a request came; makes events out of bodies."""

    received_ns: int
    caller: Caller
    clock: RequestClock | None = None

    def time(self, body: Timed, explicit_ns: int | None = None) -> tuple[ServerTime, str]:
        """Return an event's time by our clock, and that time as the client named it."""
        stamp = body.stamp(self.clock, explicit_ns)
        return server_time(stamp, self.received_ns), stamp.claim


class StartBody(Timed):
    """A step or, without ``step``, a scenario begins."""

    step_id: StepId | None = None
    env: Name
    scenario: Name
    step: Name | None = None
    parent_id: StepId | None = None
    group: Name | None = None
    started_at: TimeNs | None = None
    servers: Annotated[list[ServerPattern], Field(max_length=10_000)] | None = None
    title: Text | None = None
    url: Text | None = None
    tags: Tags = {}
    work: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    ttl_s: Annotated[float, Field(gt=0, le=30 * 86400)] | None = None

    def event(self, arrival: Arrival) -> Start:
        """Return the event."""
        time, claim = arrival.time(self, self.started_at)
        return Start(
            step_id=self.step_id or str(uuid.uuid4()),
            env=self.env,
            scenario=self.scenario,
            time=time,
            step=self.step,
            parent_id=self.parent_id,
            group=self.group,
            servers=None if not self.servers else tuple(self.servers),
            title=self.title,
            url=self.url,
            tags=self.tags,
            work=self.work,
            ttl_s=self.ttl_s,
            claim=claim,
        )


class StopBody(Timed):
    """A step ends."""

    outcome: Literal["passed", "failed", "aborted"]
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**31)] | None = None
    ended_at: TimeNs | None = None
    env: Name | None = None
    scenario: Name | None = None
    step: Name | None = None
    parent_id: StepId | None = None

    def event(self, step_id: str, arrival: Arrival) -> Stop:
        """Return the event."""
        time, _ = arrival.time(self, self.ended_at)
        return Stop(
            step_id=step_id,
            outcome=self.outcome,
            time=time,
            exit_code=self.exit_code,
            env=self.env,
            scenario=self.scenario,
            step=self.step,
            parent_id=self.parent_id,
        )


class SetStepBody(Timed):
    """The next implicit step of a run begins."""

    step: Name
    run_id: StepId | None = None
    step_id: StepId | None = None

    def event(self, env: str, arrival: Arrival) -> SetStep:
        """Return the event."""
        time, claim = arrival.time(self)
        return SetStep(
            step_id=self.step_id or str(uuid.uuid4()),
            env=env,
            step=self.step,
            time=time,
            run_id=self.run_id,
            claim=claim,
        )


class HeartbeatBody(Timed):
    """A step is still running."""

    def event(self, step_id: str, _arrival: Arrival) -> Heartbeat:
        """Return the event."""
        return Heartbeat(step_id=step_id)


class PatchBody(Timed):
    """More about a step."""

    tags: Tags = {}
    title: Text | None = None
    url: Text | None = None
    work: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def event(self, step_id: str, _arrival: Arrival) -> Patch:
        """Return the event."""
        return Patch(step_id=step_id, tags=self.tags, title=self.title, url=self.url, work=self.work)


class MarkBody(Timed):
    """An instant note."""

    env: Name
    scenario: Name | None = None
    run_id: StepId | None = None
    title: Name
    text: Text | None = None

    def event(self, arrival: Arrival) -> NewMark:
        """Return the event; a replay of it makes the same mark."""
        time, claim = arrival.time(self)
        said = "\0".join([self.env, self.scenario or "", self.run_id or "", self.title, claim])
        mark_id = uuid.uuid5(_MARKS, said) if claim else uuid.uuid4()
        return NewMark(
            Mark(
                mark_id=str(mark_id),
                env=self.env,
                kind="note",
                t_ns=time.t_ns,
                title=self.title,
                text=self.text,
                scenario=self.scenario,
                run_id=self.run_id,
            )
        )


class SpoolBody(BaseModel):
    """What still waits on the client's disk, beyond the items of its request."""

    env: Name
    size_bytes: Annotated[int, Field(ge=0, le=_MAX_NS)]
    oldest_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class BatchBody(RequestClock):
    """Events in their order; each item is checked by itself."""

    items: Annotated[list[Any], Field(max_length=10_000)]
    spool: SpoolBody | None = None
