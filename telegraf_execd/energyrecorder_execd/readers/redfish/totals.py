"""Reads the totals of one poll: each at its own place, or at another one where that is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError, BmcUnreachableError
from energyrecorder_execd import quirks
from energyrecorder_execd.http import Answer, BmcHttp, HttpStatusError
from energyrecorder_execd.readers.fast_meter import SOURCE as METER
from energyrecorder_execd.readers.fast_meter import STALE_S
from energyrecorder_execd.readers.redfish.definition import completed
from energyrecorder_execd.readers.redfish.measure import measure
from energyrecorder_execd.readers.redfish.meter import MeterMemory, as_candidate, newest_record
from energyrecorder_execd.readers.redfish.parse import Candidate
from energyrecorder_execd.readers.redfish.plan import Place, TotalPlan
from energyrecorder_execd.readers.redfish.select import is_valid
from energyrecorder_execd.readers.redfish.stand_in import STAND_IN_LIMIT_S


@dataclass(frozen=True, slots=True)
class Total:
    """One expected total as this poll found it.

    Args:
        plan: What was expected.
        candidate: The value.
        sampled_at_ns: When it was, nanoseconds since the Unix epoch, UTC.
        latency_s: Time that the BMC took to answer, seconds.
        error: Why there is no value, one of `energyrecorder.schema.ERRORS`; empty if there is one.
        message: One line that says more of it, or of what another place stood in for.
        gone: Its own resource does not exist any more.
        stood_in: The value is from another place than its own.
        record: Of a meter's record: its time as the BMC wrote it, by which it is known; else empty.
    """

    plan: TotalPlan
    candidate: Candidate
    sampled_at_ns: int
    latency_s: float
    error: str = ""
    message: str = ""
    gone: bool = False
    stood_in: bool = False
    record: str = ""


class Totals:
    """The resources of one poll, each asked for once, and the totals in them.

    Args:
        http: The BMC.
        clock: Wall clock, nanoseconds since the Unix epoch, UTC.
        effects: What the quirk table says of this BMC.
        fresh: Resources that this poll has got already.
        meter: What is remembered of the BMC's meters.

    Attributes:
        answers: What was got, by path.
        retry_after_s: How long the BMC asked to be left alone when something was to stand in; 0: it did not.
        failures: By path, what would have ended the poll if the BMC were not known to answer otherwise.
    """

    def __init__(
        self,
        http: BmcHttp,
        clock: Clock,
        effects: quirks.Effects,
        fresh: Mapping[str, Answer],
        meter: MeterMemory,
    ) -> None:
        self._http = http
        self._clock = clock
        self._effects = effects
        self._fresh = fresh
        self._meter = meter
        self.answers: dict[str, Answer] = {}
        self.retry_after_s = 0.0
        self.failures: dict[str, BmcError] = {}
        self._errors: dict[str, BmcError] = {}

    async def ask(self, paths: Iterable[str], *, limit_s: float | None = None) -> None:
        """Get resources.

        Args:
            paths: Those already asked for are left out.
            limit_s: Longest wait for each, where the BMC is known to answer otherwise: then whatever fails is
                this resource's fault alone. None: as long as the poll goes on.

        Raises:
            BmcAuthError: The log-in was refused.
            BmcError: Without a limit: the BMC cannot be reached, or asks to be left alone.
        """
        for path in paths:
            if path in self.answers or path in self._errors:
                continue
            try:
                async with asyncio.timeout(limit_s):
                    self.answers[path] = self._fresh.get(path) or await self._http.get(path)
            except BmcAuthError:
                raise
            except TimeoutError:
                said = f"GET {path}: no answer within {limit_s or 0:.1f} s, though the BMC answers otherwise"
                self._failed(path, BmcUnreachableError(said, reason="timeout"))
            except BmcError as error:
                if isinstance(error, HttpStatusError | BmcDataError) and error.reason != "busy":
                    self._errors[path] = error
                elif limit_s is None:
                    raise
                else:
                    self._failed(path, error)

    def leave_out(self, failures: Mapping[str, BmcError]) -> None:
        """Take resources for failing without asking for them.

        Args:
            failures: By path, why they failed a while ago.
        """
        for path, error in failures.items():
            self._failed(path, error)

    def _failed(self, path: str, error: BmcError) -> None:
        self._errors[path] = self.failures[path] = error

    def take(self, expected: TotalPlan, place: Place) -> tuple[Total, Place]:
        """Take a total out of a place whose resources were asked for; the place may have learned something.

        Args:
            expected: The total.
            place: Its own place, or one that stands in for that.
        """
        none = Candidate(None, place.source)
        failed = [self._errors[path] for path in place.paths if path in self._errors]
        if failed:
            gone = isinstance(failed[0], HttpStatusError) and failed[0].absent
            reason = "no_reading" if failed[0].reason == "unsupported" else failed[0].reason
            return Total(expected, none, self._clock(), 0.0, reason, str(failed[0]), gone), place
        mine = [self.answers[path] for path in place.paths]
        middle_ns = (mine[0].sent_ns + mine[-1].received_ns) // 2
        latency_s = sum(answer.latency_s for answer in mine)
        try:
            if place.form == "meter":
                return self._from_meter(expected, mine[0]), place
            documents = {answer.path: answer.document for answer in mine}
            candidate, learned = measure(place, documents, self._effects)
        except BmcDataError as error:
            return Total(expected, none, middle_ns, latency_s, error.reason, str(error)), place
        # What is declared of it elsewhere is declared of its own place.
        if place is expected.place:
            candidate = completed(candidate, expected.declared)
        return Total(expected, candidate, middle_ns, latency_s), learned

    def _from_meter(self, expected: TotalPlan, answer: Answer) -> Total:
        record = newest_record(answer)
        if record is None:
            said = f"{answer.path}: PowerDetail: no record of the last {STALE_S:g} s"
            none = Candidate(None, METER)
            return Total(expected, none, answer.middle_ns, answer.latency_s, "no_reading", said)
        ended_ns = self._meter.ended_ns(record, answer)
        return Total(expected, as_candidate(record), ended_ns, answer.latency_s, record=record.raw)

    async def stand_in(self, silent: Total, host: str, *, spare: bool) -> Total:
        """Return a total as the first other place shows it that holds a value; else as it is.

        Args:
            silent: It has no value.
            host: State of its host.
            spare: The BMC is not asked for anything more.

        Raises:
            BmcAuthError: The log-in was refused.
        """
        for place in silent.plan.stand_ins:
            if (spare or self.retry_after_s) and not self.answers.keys() >= set(place.paths):
                continue
            try:
                async with asyncio.timeout(STAND_IN_LIMIT_S):
                    await self.ask(place.paths)
            except BmcAuthError:
                raise
            except (BmcError, TimeoutError) as error:
                # A BMC that hangs, breaks off or is busy is not asked for one more thing.
                self.retry_after_s = getattr(error, "retry_after_s", None) or 0.0
                return silent
            other, learned = self.take(silent.plan, place)
            # Supplies that repeated the total and differ for once would add up to a multiple of it.
            if learned == place and not other.error and is_valid(other.candidate.watts, host):
                said = f"{silent.message}; {place.source} stands in"
                return replace(other, message=said, gone=silent.gone, stood_in=True)
        return silent


def judged(total: Total, host: str) -> Total:
    """Drop a value that is none in this state of the host, and say why (rule 6)."""
    watts = total.candidate.watts
    if total.error or is_valid(watts, host):
        return total
    where = total.plan.place.paths[0]
    what = "no value" if watts is None else "0 W"
    state = {"on": "the host is on", "off": "the host is off"}.get(host, "the host's state is unknown")
    dropped = replace(total.candidate, watts=None)
    return replace(total, candidate=dropped, error="no_reading", message=f"{where}: {what} while {state}")
