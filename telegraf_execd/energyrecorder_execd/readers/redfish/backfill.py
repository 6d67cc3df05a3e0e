"""Fills the hole that an outage leaves from the averages that some BMCs keep: each record once.

A BMC is asked for its history only when the time between two readings was far longer than usual. The records
come out with their own times, put right by the BMC's clock; those that do not lie wholly in the hole are left
out, and so is a history whose newest record is not of now: a GPU board of a DGX H100 says 2020.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder_execd import quirk_places
from energyrecorder_execd.http import Answer, BmcHttp, HttpStatusError
from energyrecorder_execd.readers.base import Reading
from energyrecorder_execd.readers.hole import (
    HISTORY_ATTEMPTS,
    HISTORY_LIMIT_S,
    Hole,
    keep_hole,
    kept_hole,
    still_open,
)
from energyrecorder_execd.readers.json_values import epoch_s, lenient_watts, members, text

SHORTEST_S = 120.0
"""A shorter hole is left to the analysis."""

TIMES_USUAL = 3.0
"""A hole is a time between readings this many times the usual one."""

SLACK_S = 60.0
"""The newest record of a history that is up to date is at most this much older than its length."""

ZONE_S = 900
"""Zones of the world differ by multiples of this."""

CLOCK_IGNORED_S = 2.0
"""A clock that is off by no more is right."""

_ZONE = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """One average.

    Args:
        end_s: End of its time, seconds since the Unix epoch, by our clock.
        watts: The average.
        min_w: Least power in it; None unknown. Likewise ``max_w``.
    """

    end_s: float
    watts: float
    min_w: float | None = None
    max_w: float | None = None


def parse_history(
    document: Any, row: quirk_places.History, *, total: str, bmc_now_s: float, now_s: float
) -> tuple[Record, ...]:
    """Return the records of a history, oldest first; empty if it is none, or not up to date.

    Args:
        document: The resource.
        row: How to read it.
        total: Path of the total's resource: a record that names another one is left out.
        bmc_now_s: The BMC's clock, seconds since the Unix epoch, UTC.
        now_s: Ours.
    """
    found: dict[float, Record] = {}
    zoneless = False
    for item in members(document.get(row.records)) if isinstance(document, dict) else ():
        said = text(item, row.time)
        raw_s, watts = epoch_s(said), lenient_watts(item, row.average)
        about = (text(item, "MetricProperty") or total).partition("#")[0]
        if raw_s is None or said is None or watts is None or about.rstrip("/") != total.rstrip("/"):
            continue
        zoneless = zoneless or _ZONE.search(said.strip()) is None
        least, greatest = lenient_watts(item, row.least), lenient_watts(item, row.greatest)
        found[raw_s] = Record(raw_s, watts, least, greatest)
    if not found:
        return ()
    ahead_s = round(bmc_now_s - now_s) if abs(bmc_now_s - now_s) > CLOCK_IGNORED_S else 0
    if zoneless:
        ahead_s += round((max(found) - bmc_now_s) / ZONE_S) * ZONE_S
    age_s = now_s - (max(found) - ahead_s)
    if not -SLACK_S <= age_s <= row.record_s + SLACK_S:
        return ()
    return tuple(replace(found[raw_s], end_s=raw_s - ahead_s) for raw_s in sorted(found))


class Backfill:
    """What is remembered of the readings of one total, and how holes in them are filled.

    Args:
        facts: The reader's facts: the last reading's time, ``last_ns`` under ``learned`` (`state.FactsStore`
            knows it after a crash, too), and a hole that is not filled yet under ``hole``.
        server: For the log.
    """

    def __init__(self, facts: MutableMapping[str, Any], server: str) -> None:
        self._facts = facts
        self._server = server
        self._usual_s: float | None = None
        self._begun = False

    async def readings(self, http: BmcHttp, total: Reading, path: str, *, host: str) -> list[Reading]:
        """Return what fills the hole before a reading; mostly there is none.

        Args:
            http: The BMC.
            total: The reading of this poll, with watts.
            path: Of its resource.
            host: State of the host.

        Raises:
            BmcAuthError: The log-in was refused.
        """
        found = self._hole(total.sampled_at_ns)
        self._learned["last_ns"] = total.sampled_at_ns
        hole = still_open(kept_hole(self._facts), found)
        if hole is None or hole.attempts >= HISTORY_ATTEMPTS:
            keep_hole(self._facts, None)
            return []
        # Counted before it is tried: the deadline of the poll may end it at any moment.
        keep_hole(self._facts, Hole(hole.from_s, hole.to_s, hole.attempts + 1))
        kept: list[Reading] = []
        try:
            async with asyncio.timeout(HISTORY_LIMIT_S):
                await _collect(kept, http, hole, total=total, path=path, host=host)
        except BmcAuthError:
            raise
        except (BmcError, TimeoutError) as error:
            _log.debug("%s: no back-fill: %r", self._server, error)
            if not kept:
                return []
        keep_hole(self._facts, None)
        return kept

    @property
    def _learned(self) -> MutableMapping[str, Any]:
        kept = self._facts.get("learned")
        if not isinstance(kept, dict):
            kept = self._facts["learned"] = {}
        return kept

    def _hole(self, now_ns: int) -> Hole | None:
        """Return the hole before a reading; the first one of a process shows what happened before."""
        last_ns = self._learned.get("last_ns")
        first, self._begun = not self._begun, True
        if not isinstance(last_ns, int) or now_ns <= last_ns:
            return None
        gap_s = (now_ns - last_ns) / 1e9
        if not first and (self._usual_s is None or gap_s <= TIMES_USUAL * self._usual_s):
            self._usual_s = gap_s
            return None
        return Hole(last_ns / 1e9, now_ns / 1e9) if gap_s >= SHORTEST_S else None


async def _collect(
    kept: list[Reading], http: BmcHttp, hole: Hole, *, total: Reading, path: str, host: str
) -> None:
    """Add to ``kept`` what lies wholly in the hole: a record that reaches over an end blurs what is there."""
    to_s = hole.to_s
    for row in quirk_places.HISTORIES:
        if to_s - hole.from_s < row.record_s:
            continue
        below = "" if row.resource.startswith("/") else path.rstrip("/") + "/"
        try:
            records = _records(row, await http.get(below + row.resource), path)
        except HttpStatusError as error:
            if not error.absent:
                raise
            continue
        for one in records:
            within = one.end_s - row.record_s >= hole.from_s and one.end_s <= to_s
            if within and (one.watts > 0 or host == "off"):
                kept.append(_reading(one, row, total))
        if records:
            to_s = min(to_s, records[0].end_s - row.record_s)


def _records(row: quirk_places.History, answer: Answer, path: str) -> tuple[Record, ...]:
    now_s = answer.middle_ns / 1e9
    # A Date header shows whole seconds, cut off.
    bmc_now_s = now_s if answer.date_s is None else answer.date_s + 0.5
    return parse_history(answer.document, row, total=path, bmc_now_s=bmc_now_s, now_s=now_s)


def _reading(record: Record, row: quirk_places.History, total: Reading) -> Reading:
    return Reading(
        watts=record.watts,
        sampled_at_ns=round(record.end_s * 1e9),
        clock="bmc",
        protocol=total.protocol,
        source=row.source,
        side=row.side,
        scope=total.scope,
        window_s=row.record_s,
        min_w=record.min_w,
        max_w=record.max_w,
        backfill=True,
    )
