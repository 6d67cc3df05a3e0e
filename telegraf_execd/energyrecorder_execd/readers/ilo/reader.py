"""Polls the power meter of one iLO and writes each of its records once, with the record's own time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder_execd import quirks
from energyrecorder_execd.http import Answer, BmcHttp, HttpClients, HttpStatusError
from energyrecorder_execd.readers.base import Context, Poll, Reading, ServerInfo, Target
from energyrecorder_execd.readers.facts import own_facts, remember_info, remembered_info
from energyrecorder_execd.readers.fast_meter import (
    RECORD_S,
    SOURCE,
    STALE_S,
    PowerRecord,
    clock_offset_s,
    new_records,
    parse_meter,
    seen_until_s,
    until_now,
)
from energyrecorder_execd.readers.hole import (
    HISTORY_ATTEMPTS,
    HISTORY_LIMIT_S,
    Hole,
    keep_hole,
    kept_hole,
    still_open,
)
from energyrecorder_execd.readers.host_request import ask_state
from energyrecorder_execd.readers.host_state import HostMemory, must_verify, verified
from energyrecorder_execd.readers.ilo.discover import Meter, find_meter
from energyrecorder_execd.readers.ilo.history import HISTORY_RECORD_S, history_path, hole_before, inside
from energyrecorder_execd.readers.json_values import epoch_s
from energyrecorder_execd.readers.learning import Learner

HISTORY_SOURCE = "oem"
"""Of the 5-minute records: the analysis takes window and spacing of the readings of one source as one."""

BACKFILL_AGE_S = 2 * RECORD_S
"""A record this much older than the newest one was missed when it was new."""

RENEWAL_S = 6 * 3600.0
"""What is known of the server is looked at again after this time."""

RETURN_S = 600.0
"""An iLO that was away, for new firmware perhaps, or whose collector was, is looked at again if what is known
is older than this."""

RENEWAL_LIMIT_S = 3.0
"""Longest wait for that in one poll; the reading at hand does not depend on it."""

_log = logging.getLogger(__name__)


class IloReader:
    """One HPE iLO with a power meter; see `readers.base.Reader`.

    Args:
        target: The iLO.
        context: Memory and clock; facts are kept under ``ilo``: ``meter``, ``system``, ``manager`` (paths),
            ``last`` (time of the last record written out), ``offset_s`` (of the iLO's clock, now and at that
            record: ``last_offset_s``), ``hole`` (what 5-minute records are still to fill), ``described_ns``
            (when the server was looked at).
        http: Shared by the process.
    """

    def __init__(self, target: Target, context: Context, http: HttpClients) -> None:
        self._clock = context.clock
        self._server = target.server
        self._facts = own_facts(context.memory, "ilo")
        self._info = remembered_info(self._facts)
        self._includes_share = _includes_share(self._info)
        self._http = BmcHttp(target, http, self._facts, context)
        self._host = HostMemory()
        self._components = bool(target.options.get("components"))
        self._inlet_c: float | None = None
        # Not remembered: a dozen records tell the step anew.
        self._learner = Learner({})
        self._answered = True
        # While the collector was down the iLO may have got new firmware.
        self._cut_off = True

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._http.requests

    async def poll(self) -> Poll:
        """Ask the iLO once.

        Raises:
            BmcError: The poll failed as a whole.
        """
        before = self._http.requests
        self._cut_off = self._cut_off or not self._answered
        self._answered = False
        answer = await self._meter()
        records = () if self._includes_share else parse_meter(answer.document, answer.path)
        ilo_now_s = await self._ilo_now_s(answer)
        moved_s = self._moved_s(known=ilo_now_s is not None)
        fresh = new_records(records, self._last(), ilo_now_s, moved_s)
        newest = fresh[-1] if fresh else None
        state = await self._host_state(newest, answer.latency_s)
        readings, dropped = self._readings(fresh, state, answer)
        if self._components:
            readings += [reading for record in fresh for reading in self._parts(record)]
        # Before the records count as written out: a poll that ends here must not lose them.
        await self._renew()
        hole = hole_before(until_now(records, ilo_now_s), seen_until_s(self._last(), moved_s))
        keep_hole(self._facts, still_open(kept_hole(self._facts), hole))
        if newest is not None:
            readings += await self._from_history(answer.path, state)
            self._facts.update(last=newest.raw, last_offset_s=self._offset_s)
        self._answered = True
        error, message = _trouble(records, newest, ilo_now_s, answer.path)
        if dropped:
            error = "no_reading"
            message = f"{answer.path}: PowerDetail: 0 W while the host is not known to be off"
        if self._includes_share:
            error = "data"
            message = f"{answer.path}: it holds a share of the enclosure; the node's own value is not shown"
        return Poll(
            readings=tuple(readings),
            host={None: state},
            protocol="ilo",
            source=SOURCE,
            requests=self._http.requests - before,
            error=error,
            message=message,
            info=self._told_info(newest),
        )

    async def close(self) -> None:
        """Log out; never raises."""
        await self._http.close()

    @property
    def _offset_s(self) -> int:
        """The iLO's clock minus ours, whole seconds, as it was last found."""
        return self._whole("offset_s", 0)

    def _moved_s(self, *, known: bool) -> int:
        """Return by how much the iLO's clock was set forward since the last record; negative: back.

        Args:
            known: The iLO tells its time now; else nothing tells what it wrote before it was set back.
        """
        moved_s = self._offset_s - self._whole("last_offset_s", self._offset_s)
        return moved_s if known else max(moved_s, 0)

    def _whole(self, key: str, otherwise: int) -> int:
        known = self._facts.get(key)
        return known if isinstance(known, int) else otherwise

    def _last(self) -> str | None:
        last = self._facts.get("last")
        return last if isinstance(last, str) else None

    def _told_info(self, newest: PowerRecord | None) -> ServerInfo | None:
        info, self._info = self._info, None
        if newest is None or newest.inlet_c is None or newest.inlet_c == self._inlet_c:
            return info
        known = info or remembered_info(self._facts)
        # It is not remembered: it changes all the time.
        self._inlet_c = newest.inlet_c
        return known and replace(known, inlet_c=newest.inlet_c)

    def _parts(self, record: PowerRecord) -> list[Reading]:
        offset_s = self._offset_s
        return [
            Reading(
                watts=watts,
                sampled_at_ns=round((record.time_s - offset_s) * 1e9),
                clock="bmc",
                protocol="ilo",
                source=SOURCE,
                scope="component",
                part=part,
                window_s=RECORD_S,
                refresh_s=RECORD_S,
            )
            for part, watts in record.parts
        ]

    async def _meter(self) -> Answer:
        path = self._facts.get("meter")
        if isinstance(path, str):
            try:
                return await self._http.get(path)
            except HttpStatusError as error:
                # Another firmware keeps it elsewhere.
                if not error.absent:
                    raise
        meter = await find_meter(self._http)
        self._remember(meter)
        return meter.answer

    def _remember(self, meter: Meter) -> None:
        self._facts.update(meter=meter.path, system=meter.system, manager=meter.manager)
        self._facts["described_ns"] = self._clock()
        self._cut_off, self._inlet_c = not meter.whole, None
        remember_info(self._facts, meter.info)
        self._info = meter.info
        if meter.whole:
            self._includes_share = _includes_share(meter.info)

    async def _renew(self) -> None:
        """Look again at what is known of the server, after hours, or after an absence, at no risk."""
        described_ns, now_ns = self._facts.get("described_ns"), self._clock()
        age_s = (now_ns - described_ns) / 1e9 if isinstance(described_ns, int) else RENEWAL_S
        if 0 <= age_s < (RETURN_S if self._cut_off else RENEWAL_S):
            return
        self._facts["described_ns"], self._cut_off = now_ns, False
        try:
            async with asyncio.timeout(RENEWAL_LIMIT_S):
                meter = await find_meter(self._http)
                if meter.whole or self._facts.get("system") is None:
                    self._remember(meter)
                self._cut_off = not meter.whole
        except BmcAuthError:
            raise
        except (BmcError, TimeoutError) as error:
            _log.debug("%s: renewal of what is known failed: %r", self._server, error)

    async def _ilo_now_s(self, answer: Answer) -> float | None:
        """Return the iLO's clock now, and keep its offset from ours in the facts."""
        # Both clocks show whole seconds, cut off: half a second is their mean error.
        now_s = answer.date_s
        middle_ns = answer.middle_ns
        manager = self._facts.get("manager")
        if now_s is None and isinstance(manager, str):
            try:
                clock = await self._http.get(manager)
            except HttpStatusError:
                return None
            middle_ns = clock.middle_ns
            now_s = epoch_s(clock.document.get("DateTime")) if isinstance(clock.document, dict) else None
        if now_s is None:
            return None
        measured_s = now_s + 0.5 - middle_ns / 1e9
        previous = self._facts.get("offset_s")
        self._facts["offset_s"] = clock_offset_s(previous if isinstance(previous, int) else None, measured_s)
        return now_s

    async def _host_state(self, newest: PowerRecord | None, latency_s: float) -> str:
        path = self._facts.get("system")
        if not isinstance(path, str):
            return "unknown"
        now_ns = self._clock()
        watts = newest.watts if newest is not None else None
        # A poll between two records says nothing new of the host.
        seen = self._host.lowest_on_w if newest is None else watts
        if not must_verify(self._host, watts=seen, source=SOURCE, now_ns=now_ns):
            return self._host.state
        state = await ask_state(self._http, path, latency_s=latency_s)
        self._host = verified(self._host, state, watts=watts, source=SOURCE, now_ns=now_ns)
        return self._host.state

    async def _from_history(self, meter: str, state: str) -> list[Reading]:
        """Return the 5-minute records of a hole that the ring of 10-second records no longer reaches."""
        hole, path = kept_hole(self._facts), history_path(meter)
        if hole is None or path is None or hole.attempts >= HISTORY_ATTEMPTS:
            keep_hole(self._facts, None)
            return []
        # Counted before it is tried: the deadline of the poll may end it at any moment.
        keep_hole(self._facts, Hole(hole.from_s, hole.to_s, hole.attempts + 1))
        try:
            async with asyncio.timeout(HISTORY_LIMIT_S):
                history = parse_meter((await self._http.get(path)).document, path)
        except BmcAuthError:
            raise
        except (BmcError, TimeoutError) as error:
            gone = isinstance(error, HttpStatusError) and error.absent
            _log.debug("%s: %s: no back-fill: %r", self._server, path, error)
            if gone:
                keep_hole(self._facts, None)
            return []
        keep_hole(self._facts, None)
        offset_s = self._offset_s
        found = [record for record in inside(hole, history) if record.watts > 0 or state == "off"]
        return [_history_reading(record, offset_s) for record in found]

    def _readings(
        self, fresh: Sequence[PowerRecord], state: str, answer: Answer
    ) -> tuple[list[Reading], bool]:
        """Return the readings, and whether the newest record was dropped, as 0 W of a host not off."""
        offset_s = self._offset_s
        readings = []
        for record in fresh:
            if record.watts == 0 and state != "off":
                continue
            newest = record is fresh[-1]
            ended_s = record.time_s - offset_s
            learned = self._learner.observe(None, SOURCE, watts=record.watts, at_s=ended_s)
            readings.append(
                Reading(
                    watts=record.watts,
                    sampled_at_ns=round(ended_s * 1e9),
                    clock="bmc",
                    protocol="ilo",
                    source=SOURCE,
                    window_s=RECORD_S,
                    refresh_s=RECORD_S,
                    quantum_w=learned.quantum_w,
                    min_w=record.min_w,
                    max_w=record.max_w,
                    latency_s=answer.latency_s if newest else None,
                    backfill=fresh[-1].time_s - record.time_s > BACKFILL_AGE_S,
                )
            )
        return readings, bool(fresh) and fresh[-1].watts == 0 and state != "off"


def _includes_share(info: ServerInfo | None) -> bool:
    """Whether the meter shows more than its node's power."""
    return info is not None and quirks.effects(info.vendor, info.model, info.bmc_fw).control_includes_share


def _history_reading(record: PowerRecord, offset_s: float) -> Reading:
    return Reading(
        watts=record.watts,
        sampled_at_ns=round((record.time_s - offset_s) * 1e9),
        clock="bmc",
        protocol="ilo",
        source=HISTORY_SOURCE,
        window_s=HISTORY_RECORD_S,
        min_w=record.min_w,
        max_w=record.max_w,
        backfill=True,
    )


def _trouble(
    records: Sequence[PowerRecord],
    newest: PowerRecord | None,
    ilo_now_s: float | None,
    path: str,
) -> tuple[str, str]:
    if not records:
        return "no_reading", f"{path}: PowerDetail holds no record"
    if newest is None and ilo_now_s is not None and ilo_now_s - records[-1].time_s > STALE_S:
        age_s = round(ilo_now_s - records[-1].time_s)
        return "no_reading", f"{path}: PowerDetail: no record for {age_s} s"
    return "", ""
