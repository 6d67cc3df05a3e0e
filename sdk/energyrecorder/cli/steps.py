"""`energy-step start`, `step`, `stop` and `mark`: steps that outlive one command."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

import click

from energyrecorder.ci_context import ci_context
from energyrecorder.cli.job import (
    STRICT_EXIT,
    TTL_S,
    Answers,
    Job,
    env_option,
    servers_option,
    strict_option,
    tell_ci,
)
from energyrecorder.cli.state_file import JobState, OpenStep, edited_state
from energyrecorder.clock import Instant
from energyrecorder.recorder import new_id, text_of_name
from energyrecorder.schema import OUTCOMES

Event = Dict[str, Any]


def parse_tags(pairs: Tuple[str, ...]) -> Dict[str, str]:
    """Return ``k=v`` arguments as a mapping.

    Raises:
        click.BadParameter: One has no equals sign or no key.
    """
    tags = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{pair!r} is not of the form key=value", param_hint="--tag")
        tags[key] = value
    return tags


@click.command()
@click.argument("scenario")
@click.option("--step", metavar="S", help="First step of the scenario.")
@env_option
@servers_option
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="Tag to store with it; may be repeated.")
@click.option("--print-id", is_flag=True, help="Print the run id.")
@strict_option
def start(
    scenario: str,
    step: Optional[str],
    env: Optional[str],
    servers: Tuple[str, ...],
    tags: Tuple[str, ...],
    *,
    print_id: bool,
    strict: bool,
) -> int:
    """Start SCENARIO, to be ended by `energy-step stop`.

    The id is kept in the job's state file and handed to later steps of a GitHub job. What GitHub, GitLab or
    Jenkins say of the job is stored with it, but never who started it.

    \b
    Examples:
      energy-step start functest --env pod1
      energy-step start functest --step boot --server 'node-*' --tag build=7
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    more = {"tags": parse_tags(tags)} if tags else {}
    job = Job(env, forgiving=not strict)
    scenario = text_of_name(scenario)
    wanted = list(servers) or list(job.settings.servers)
    if wanted:
        more["servers"] = wanted  # type: ignore[assignment]
    at = job.now()
    events: List[Event] = []
    with edited_state(job.state_path, job.warn) as state:
        state.open = [item for item in state.open if job.is_alive(item)]
        events += _abort_the_same(job, state, at, scenario)
        opened, begun = _begin(job, state, at, scenario, more)
        events += begun
        if step is not None:
            implicit = _implicit(opened, at, text_of_name(step))
            opened = replace(opened, implicit=implicit)
            events.append(_start_event(implicit, at, parent_id=opened.step_id))
        state.open.append(opened)
        state.last_run_id = opened.run_id
    answers = job.deliver(events, opened.env)
    ids = {
        "ENERGY_RUN_ID": opened.run_id,
        "ENERGY_STEP_ID": opened.step_id,
        "ENERGY_SCENARIO": opened.scenario,
    }
    tell_ci(ids, {"run_id": opened.run_id, "step_id": opened.step_id})
    if print_id:
        click.echo(opened.run_id)
    return job.end(answers, strict=strict)


@click.command()
@click.argument("name")
@env_option
@strict_option
def step(name: str, env: Optional[str], *, strict: bool) -> int:
    """Start step NAME of the scenario started last; the step before ends.

    The same name again changes nothing.

    \b
    Example:
      energy-step step traffic
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env, forgiving=not strict)
    at = job.now()
    name = text_of_name(name)
    with edited_state(job.state_path, job.warn) as state:
        told = job.around(state)
        own = state.open[-1] if state.open and job.is_alive(state.open[-1]) else None
        if own is None or (told is not None and not state.knows(told.step_id)):
            # The scenario belongs to somebody else: the annotator knows which step of it is open.
            event: Event = {"op": "step", "at": at.as_json(), "step": name, "step_id": new_id()}
            if told is not None:
                event["run_id"] = told.run_id
            return job.end(job.deliver([event]), strict=strict)
        if own.implicit is not None and own.implicit.step == name:
            return 0
        events = [] if own.implicit is None else [_stop_event(own.implicit, at, "passed")]
        implicit = _implicit(own, at, name)
        events.append(_start_event(implicit, at, parent_id=own.step_id))
        state.open[-1] = replace(own, implicit=implicit)
    return job.end(job.deliver(events, own.env), strict=strict)


@click.command()
@click.option("--outcome", type=click.Choice(OUTCOMES), default="passed", show_default=True)
@click.option("--all", "everything", is_flag=True, help="Stop everything that this job has open.")
@env_option
@strict_option
def stop(outcome: str, env: Optional[str], *, everything: bool, strict: bool) -> int:
    """Stop the scenario started last, with its open step.

    \b
    Examples:
      energy-step stop --outcome failed
      energy-step stop --all
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env, forgiving=not strict)
    at = job.now()
    with edited_state(job.state_path, job.warn) as state:
        if not state.open:
            job.warn("nothing is open here; `energy-step start` comes first")
            return STRICT_EXIT if strict else 0
        stopped = [state.open.pop() for _ in range(len(state.open) if everything else 1)]
        left = state.open[-1] if state.open else None
    answers: Answers = []
    for item in stopped:
        answers += job.deliver(_stops(item, at, outcome), item.env)
    ids = {
        "ENERGY_RUN_ID": left.run_id if left else "",
        "ENERGY_STEP_ID": left.step_id if left else "",
        "ENERGY_SCENARIO": left.scenario if left else "",
    }
    tell_ci(ids, {})
    return job.end(answers, strict=strict)


@click.command()
@click.argument("note")
@click.option("--text", help="More about it.")
@env_option
@strict_option
def mark(note: str, text: Optional[str], env: Optional[str], *, strict: bool) -> int:
    """Note an instant.

    \b
    Example:
      energy-step mark "vm destroyed"
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env, forgiving=not strict)
    state = job.state()
    around = job.around(state)
    event: Event = {"op": "mark", "at": job.now().as_json(), "title": text_of_name(note)}
    if text:
        event["text"] = text_of_name(text)
    known_env = None
    if around is not None:
        event["run_id"] = around.run_id
        if around.scenario:
            event["scenario"] = around.scenario
        known_env = next((item.env for item in state.open if item.run_id == around.run_id), None)
    return job.end(job.deliver([event], env or known_env), strict=strict)


def _abort_the_same(job: Job, state: JobState, at: Instant, scenario: str) -> List[Event]:
    """End a scenario of this name that was left open, and what is open within it."""
    names = [item.scenario if item.step is None else None for item in state.open]
    if scenario not in names:
        return []
    job.warn(f"{scenario!r} was still open; it is aborted and started anew")
    first = names.index(scenario)
    left, state.open[first:] = state.open[first:], []
    return [event for item in reversed(left) for event in _stops(item, at, "aborted")]


def _begin(
    job: Job, state: JobState, at: Instant, scenario: str, more: Dict[str, Any]
) -> Tuple[OpenStep, List[Event]]:
    around = job.around(state)
    step_id = new_id()
    opened = OpenStep(
        step_id=step_id,
        run_id=around.run_id if around else step_id,
        env=job.settings.env,
        scenario=scenario,
        step=None,
        started_ns=at.wall_ns,
        boot_id=at.boot_id,
    )
    if around is not None and around.scenario:
        job.warn(f"{scenario!r} lies within {around.scenario!r}, which is still open")
    event = _start_event(opened, at, parent_id=around.step_id if around else None, **more)
    return opened, [event if around else ci_context(os.environ).added_to(event)]


def _implicit(outer: OpenStep, at: Instant, name: str) -> OpenStep:
    return replace(outer, step_id=new_id(), step=name, started_ns=at.wall_ns, implicit=None)


def _start_event(item: OpenStep, at: Instant, *, parent_id: Optional[str], **more: Any) -> Event:
    event = {"op": "start", "at": at.as_json(), "step_id": item.step_id, "scenario": item.scenario, **more}
    event["ttl_s"] = TTL_S
    if item.step is not None:
        event["step"] = item.step
    if parent_id is not None:
        event["parent_id"] = parent_id
    return event


def _stop_event(item: OpenStep, at: Instant, outcome: str) -> Event:
    event = {"op": "stop", "at": at.as_json(), "step_id": item.step_id, "scenario": item.scenario}
    event["outcome"] = outcome
    if item.step is not None:
        event["step"] = item.step
    return event


def _stops(item: OpenStep, at: Instant, outcome: str) -> List[Event]:
    inner = [] if item.implicit is None else [_stop_event(item.implicit, at, outcome)]
    return [*inner, _stop_event(item, at, outcome)]
