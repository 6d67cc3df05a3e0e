"""What the web page shows, gathered from the journal, what is newest, and the sample store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from energyrecorder_analysis.report.model import PowerPoint, ReportStep
from energyrecorder_analysis.report.wire import step_from_answer
from energyrecorder_annotator.api.answers import step_detail
from energyrecorder_annotator.api.paging import next_cursor
from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.journal.base import Journal, StepQuery, StepWithResult
from energyrecorder_annotator.lifecycle.model import RUNNING
from energyrecorder_annotator.samples.base import PowerPoints, SampleStore, SampleStoreError
from energyrecorder_annotator.samples.freshness import HOUR_NS, Freshness
from energyrecorder_annotator.service import Service

CURVE_POINTS = 60
MOST_CURVES = 200
"""Servers whose curves one page draws at most; choosing an environment leaves fewer."""
_MOST_OPEN = 1000

Curves = Mapping[tuple[str, str], Sequence[PowerPoint]]


@dataclass(frozen=True, slots=True)
class ServerNow:
    """A server heard within the hour.

    Args:
        server: Its id.
        watts: Last valid reading; None if there was none.
        sample_ns: When that was; 0 if there was none.
        host: ``on``, ``off`` or ``unknown``.
        points: Power of the last hour; empty when not asked for.
    """

    server: str
    watts: float | None
    sample_ns: int
    host: str
    points: Sequence[PowerPoint] = ()


@dataclass(frozen=True, slots=True)
class EnvNow:
    """An environment and its servers, in order of their ids."""

    env: str
    servers: Sequence[ServerNow]


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run.

    Args:
        run_id: Its id.
        env: Environment.
        whole: The run in figures.
        title: Title, if it has one.
        url: Where its job is shown, as the client told; None if not told.
        current: Name of the step that runs in it now.
    """

    run_id: str
    env: str
    whole: ReportStep
    title: str | None
    url: str | None
    current: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page.

    Args:
        now_ns: Our wall clock.
        zone: Zone in which times are shown.
        envs: Environments that report, in order of their names.
        runs: One page of runs, newest first.
        query: What chose the runs.
        next_cursor: Leads to the page after; None on the last.
        notes: What the reader should know first.
    """

    now_ns: int
    zone: tzinfo
    envs: Sequence[EnvNow]
    runs: Sequence[RunLine]
    query: StepQuery
    next_cursor: str | None
    notes: Sequence[str]


def overview(service: Service, query: StepQuery, caller: Caller) -> Overview:
    """Return the page's content; blocks on journal and sample store.

    Args:
        service: Whose.
        query: Which runs; its ``env`` chooses the environments too.
        caller: Sees its environments only.

    Raises:
        JournalError: The journal cannot be read. Readings that cannot be read are a note.
    """
    now_ns = service.clock()
    found = service.journal.list_steps(replace(query, limit=query.limit + 1))
    current = _running_steps(service.journal, query, caller)
    notes = [
        f"{delivery.sink.name} takes nothing just now; steps are kept and delivered later."
        for delivery in service.deliveries
        if delivery.error is not None
    ]
    envs = _envs(service.freshness, query.env, caller, now_ns)
    try:
        envs = _with_curves(envs, service.samples, now_ns)
    except SampleStoreError as error:
        notes.append(f"The curves are missing: {error}.")
    return Overview(
        now_ns=now_ns,
        zone=datetime.now().astimezone().tzinfo or UTC,
        envs=envs,
        runs=[_line(pair, current, now_ns) for pair in found[: query.limit]],
        query=query,
        next_cursor=next_cursor(found, query.limit),
        notes=notes,
    )


def _running_steps(journal: Journal, query: StepQuery, caller: Caller) -> dict[str, str]:
    """Return the name of the step that began last of those that run, by run."""
    asked = StepQuery(env=query.env, state=RUNNING, limit=_MOST_OPEN, envs=caller.envs)
    oldest_first = reversed(journal.list_steps(asked))
    return {step.run_id: step.step for step, _ in oldest_first if step.step is not None}


def _line(found: StepWithResult, current: Mapping[str, str], now_ns: int) -> RunLine:
    step, _ = found
    whole = step_from_answer(step_detail(found, now_ns))
    return RunLine(step.run_id, step.env, whole, step.title, step.url, current.get(step.run_id))


def _envs(freshness: Freshness, env: str | None, caller: Caller, now_ns: int) -> list[EnvNow]:
    heard_since_ns = now_ns - HOUR_NS
    names = freshness.summary(now_ns) if env is None else [env]
    heard = {name: freshness.servers(name, heard_since_ns) for name in sorted(names) if caller.may_use(name)}
    return [
        EnvNow(
            name,
            [
                ServerNow(server, fresh.watts, fresh.sample_ns, fresh.host)
                for server, fresh in sorted(servers.items())
            ],
        )
        for name, servers in heard.items()
        if servers
    ]


def _with_curves(envs: list[EnvNow], samples: SampleStore, now_ns: int) -> list[EnvNow]:
    if not 0 < sum(len(one.servers) for one in envs) <= MOST_CURVES:
        return envs
    chosen = {"env": [one.env for one in envs]}
    curves = _curves(samples.power(chosen, now_ns - HOUR_NS, now_ns, CURVE_POINTS))
    return [
        EnvNow(
            one.env,
            [replace(server, points=curves.get((one.env, server.server), ())) for server in one.servers],
        )
        for one in envs
    ]


def _curves(series: Sequence[PowerPoints]) -> Curves:
    """Return one curve for each server: of its BMC if there is one."""
    whole = sorted((one for one in series if one.scope == "server"), key=lambda one: one.part is None)
    return {(one.env, one.server): one.points for one in whole}
