"""Polls one BMC by Redfish: discovers once where its power stands, then asks for as little as possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from energyrecorder.errors import BmcDataError, BmcError
from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.backoff import MAX_RETRY_AFTER_S
from energyrecorder_execd.http import Answer, BmcHttp, HttpClients, HttpStatusError
from energyrecorder_execd.readers.base import Context, Poll, Reading, Target
from energyrecorder_execd.readers.facts import own_facts
from energyrecorder_execd.readers.learning import Learned, Learner
from energyrecorder_execd.readers.redfish.backfill import Backfill
from energyrecorder_execd.readers.redfish.description import Description
from energyrecorder_execd.readers.redfish.discover import ROOT, look_everywhere
from energyrecorder_execd.readers.redfish.extras import Extras
from energyrecorder_execd.readers.redfish.hosts import Hosts
from energyrecorder_execd.readers.redfish.meter import MeterMemory
from energyrecorder_execd.readers.redfish.parse import Candidate
from energyrecorder_execd.readers.redfish.plan import Plan
from energyrecorder_execd.readers.redfish.planner import Planner, Walked
from energyrecorder_execd.readers.redfish.totals import Total, Totals, judged
from energyrecorder_execd.readers.redfish.waits import Waits
from energyrecorder_execd.readers.redfish.walk import Walk

SOURCE_LIMIT_S = 3.0
"""Longest wait for a source that ended the last poll, beyond what four answers of the BMC would take."""


class RedfishReader:
    """One BMC that speaks Redfish; see `readers.base.Reader`.

    Args:
        target: The BMC.
        context: Memory and clock; facts are kept under ``redfish``.
        http: Shared by the process.
    """

    def __init__(self, target: Target, context: Context, http: HttpClients) -> None:
        self._clock = context.clock
        facts = own_facts(context.memory, "redfish")
        self._http = BmcHttp(target, http, facts, context)
        self._spared_until_ns = 0
        self._latency_s = 0.0
        self._waits = Waits(context.clock)
        self._fresh: Mapping[str, Answer] = {}
        self._failures: Mapping[str, BmcError] = {}
        self._hosts = Hosts(context.clock)
        self._extras = Extras(target.server, components=bool(target.options.get("components")))
        self._answers: dict[str, Answer] = {}
        self._learner = Learner(facts)
        self._description = Description(facts)
        self._planner = Planner(target.server, facts, components=self._extras.components)
        self._rediscovery = self._planner.rediscovery
        self._backfill = Backfill(facts, target.server)
        self._meter = MeterMemory(facts)

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._http.requests

    async def poll(self) -> Poll:
        """Ask the BMC once.

        Raises:
            BmcError: The poll failed as a whole.
        """
        now_ns = self._clock()
        self._rediscovery.begin()
        before = self._http.requests
        self._fresh, self._failures = {}, {}
        planned = self._planner.plan is not None and bool(self._planner.plan.totals)
        due = self._planner.plan is None or self._rediscovery.is_due(self._planner.plan, now_ns)
        if due and not planned:
            self._walked(await self._planner.walk(self._http, now_ns, self._failures))
        limit_s = await self._source_limit_s() if planned else None
        totals, hosts = await self._totals(limit_s)
        if not self._is_spared() and self._rediscovery.is_lost(
            gone=any(total.gone and not total.stood_in for total in totals),
            silent=any(self._is_silent(total, hosts[total.plan.node]) for total in totals),
            walked=due and not planned,
            now_ns=now_ns,
        ):
            self._fresh = {}
            self._walked(await self._planner.walk(self._http, now_ns, self._failures))
            totals, hosts = await self._totals(limit_s)
        elif due and planned:
            latency_s = max(total.latency_s for total in totals)
            walked = await self._planner.renew(self._http, now_ns, self._failures, latency_s=latency_s)
            self._walked(walked)
        if self._failures and all(total.candidate.watts is None for total in totals):
            raise next(iter(self._failures.values()))
        readings = [reading for total in totals if (reading := await self._reading(total)) is not None]
        await self._describe(now_ns)
        parts: list[Reading] = []
        if self._extras.components and self._planner.plan is not None:
            parts = await self._extras.parts(self._http, self._planner.plan, self._answers)
        readings += parts + await self._missed(totals, readings, hosts)
        for total in totals:
            # Not before the end: a poll that is cut off must not lose the record.
            if total.record:
                self._meter.wrote(total.plan.node, total.record)
        stood_in = any(total.stood_in for total in totals)
        if not stood_in:
            self._latency_s = max(total.latency_s for total in totals)
        self._rediscovery.end(stood_in=stood_in)
        return self._result(totals, hosts, tuple(readings), self._http.requests - before)

    def _walked(self, walked: Walked | None) -> None:
        if walked is not None:
            self._description.walked(walked.info)
            self._fresh = walked.fresh

    async def _source_limit_s(self) -> float | None:
        """Return how long to wait for the source, seconds, if it is doubted and the BMC answers; else None.

        Raises:
            BmcError: The BMC does not answer.
        """
        if self._planner.plan is None or not self._rediscovery.is_source_doubted:
            return None
        host = self._planner.plan.totals[0].host
        try:
            answer = await self._http.get(host or ROOT, anonymous=host is None)
        except HttpStatusError as error:
            if error.reason == "busy":
                raise
            return SOURCE_LIMIT_S + 4 * self._latency_s
        self._fresh = {answer.path: answer}
        return SOURCE_LIMIT_S + 4 * max(self._latency_s, answer.latency_s)

    def _is_spared(self) -> bool:
        """Whether the BMC asked for time when something was to stand in; a clock may be set back."""
        return 0 < self._spared_until_ns - self._clock() <= MAX_RETRY_AFTER_S * 1e9

    def _is_silent(self, total: Total, host: str) -> bool:
        """Whether a total has no value although its host is on, or nothing tells whether it is."""
        return total.candidate.watts is None and self._hosts.may_be_on(total.plan.host, host)

    async def survey(self) -> None:
        """Ask for all sources, for those who hear what is answered.

        Raises:
            BmcError: The BMC does not answer.
        """
        await look_everywhere(Walk(self._http, self._clock()))

    async def close(self) -> None:
        """Log out; never raises."""
        await self._http.close()

    async def _missed(
        self, totals: list[Total], readings: list[Reading], hosts: Mapping[str | None, str]
    ) -> list[Reading]:
        """Return what the BMC kept of the time before this poll; nothing may be awaited after it."""
        place = totals[0].plan.place
        if len(totals) > 1 or place.form != "power" or not readings or readings[0].watts is None:
            return []
        host = hosts[totals[0].plan.node]
        return await self._backfill.readings(self._http, readings[0], place.paths[0], host=host)

    async def _totals(self, limit_s: float | None) -> tuple[list[Total], dict[str | None, str]]:
        plan = self._planner.plan
        if plan is None or not plan.totals:
            raise _nothing(plan)
        found = Totals(self._http, self._clock, plan.effects, self._fresh, self._meter)
        self._answers, self._failures = found.answers, found.failures
        if limit_s is not None:
            found.leave_out(self._waits.running())
        await found.ask(plan.paths, limit_s=limit_s)
        self._waits.note(found.failures)
        totals, hosts = [], {}
        for index, expected in enumerate(plan.totals):
            total, place = found.take(expected, expected.place)
            if place is not expected.place:
                self._planner.learn(index, place)
            state = await self._hosts.state(self._http, total, self._fresh)
            hosts[expected.node] = state
            total = judged(total, state)
            if self._is_silent(total, state):
                total = await found.stand_in(total, state, spare=self._is_spared())
            totals.append(total)
        if found.retry_after_s:
            self._spared_until_ns = self._clock() + int(min(found.retry_after_s, MAX_RETRY_AFTER_S) * 1e9)
        return totals, hosts

    def _result(
        self,
        totals: list[Total],
        hosts: dict[str | None, str],
        readings: tuple[Reading, ...],
        requests: int,
    ) -> Poll:
        # First what is wrong, then what only another source saved from being wrong.
        told = next((t for t in totals if t.error), None) or next((t for t in totals if t.stood_in), None)
        error, message = (told.error, told.message) if told is not None else ("", "")
        return Poll(
            readings=readings,
            host=hosts,
            protocol="redfish",
            source=totals[0].candidate.source,
            requests=requests,
            error=error,
            message=message,
            info=self._description.news(),
        )

    async def _describe(self, now_ns: int) -> None:
        """Look at what the answers at hand tell of the server, and once an hour at its inlet temperature."""
        if self._planner.plan is None:
            return
        place = self._planner.plan.totals[0].place
        if place.form in {"power", "supplies", "environment"} and place.paths[0] in self._answers:
            self._description.total(self._answers[place.paths[0]].document)
        shown_c = await self._extras.inlet(
            self._http, self._planner.plan.inlet, now_ns=now_ns, fresh=self._fresh
        )
        if shown_c is not None:
            self._description.inlet(shown_c)

    def _timed(self, total: Total) -> tuple[Candidate, float | None]:
        """Return the value with its timing (declared, learned, else the vendor's), and its quantum."""
        value, learned = total.candidate, Learned()
        if value.watts:
            learned = self._learner.observe(
                total.plan.node, value.source, watts=value.watts, at_s=total.sampled_at_ns / 1e9
            )
        effects = self._planner.plan.effects if self._planner.plan is not None else quirks.Effects()
        refresh_s, told_by = value.refresh_s, value.refresh_from
        if refresh_s is None:
            refresh_s, told_by = learned.refresh_s, "learned"
        if refresh_s is None:
            refresh_s, told_by = effects.refresh_s, "vendor"
        # 0 is declared too: an instant.
        window_s = effects.window_s if value.window_s is None else value.window_s
        timed = value
        if (refresh_s, window_s) != (value.refresh_s, value.window_s):
            timed = replace(value, refresh_s=refresh_s, window_s=window_s)
        if not total.stood_in:
            self._description.timed(timed, told_by)
        return timed, learned.quantum_w

    async def _reading(self, total: Total) -> Reading | None:
        if total.record and self._meter.is_written(total.plan.node, total.record):
            total = replace(total, candidate=replace(total.candidate, watts=None))
        (value, quantum_w), node = self._timed(total), total.plan.node
        fresh = {**self._fresh, **self._answers}
        counter, wrap_j = await self._extras.counter(
            self._http, total.plan, watts=value.watts, now_ns=total.sampled_at_ns, fresh=fresh
        )
        if value.watts is None and counter is None:
            return None
        return Reading(
            watts=value.watts,
            sampled_at_ns=total.sampled_at_ns,
            clock="bmc" if total.record else "poll",
            protocol="redfish",
            source=value.source,
            side=value.side,
            scope=total.plan.scope,
            node=node,
            window_s=value.window_s,
            refresh_s=value.refresh_s,
            quantum_w=quantum_w,
            accuracy_pct=value.accuracy_pct,
            avg_w=value.avg_w,
            min_w=value.min_w,
            max_w=value.max_w,
            energy_counter_j=counter,
            energy_wrap_j=wrap_j,
            latency_s=total.latency_s,
        )


def _nothing(plan: Plan | None) -> BmcError:
    """Return what is said of a BMC none of whose resources holds the power of a computer."""
    if plan is None or not plan.effects.control_includes_share:
        return BmcError("no resource with the power of a server", reason="unsupported")
    pointers = ", ".join(row.pointer for row in quirk_places.OEM_NODES)
    return BmcDataError(f"no chassis with {pointers}: the node's own value is not shown", reason="data")
