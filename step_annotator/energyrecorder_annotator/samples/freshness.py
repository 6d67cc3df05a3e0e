"""What is newest of each server, in memory: the age of its last sample, and how far its time is covered."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from energyrecorder_annotator.samples.base import Batch, BmcPoll, LastSeen, Reading

HOUR_NS = 3600 * 1_000_000_000
DELAY_SPAN_NS = 300 * 1_000_000_000
LATE_NS = 60 * 1_000_000_000
"""Readings that come so long after their time are late even when they are the newest of their server."""
SILENT_NS = 120 * 1_000_000_000
"""A server may be silent for so long before a result is computed without it."""

Spans = dict[str, tuple[int, int]]
"""First and last time of readings, ns since the Unix epoch, by environment."""


@dataclass(slots=True)
class ServerFreshness:
    """The newest of one server.

    Args:
        heard_ns: Last point of any kind, ns since the Unix epoch.
        sample_ns: Last valid reading of the whole server; 0 if there was none.
        covered_ns: Power is known up to here: a BMC's record ends its window then; a polled reading is
            late by half its window and half its refresh period on average.
        host: Power state in its last poll.
        watts: Its last valid reading; None if there was none.
    """

    heard_ns: int = 0
    sample_ns: int = 0
    covered_ns: int = 0
    host: str = "unknown"
    watts: float | None = None

    def add_reading(self, reading: Reading) -> None:
        """Take in a reading, which may be older than the newest."""
        self.heard_ns = max(self.heard_ns, reading.t_ns)
        if reading.watts is None:
            return
        self.covered_ns = max(self.covered_ns, reading.t_ns - _lag_ns(reading, self.sample_ns))
        if reading.t_ns >= self.sample_ns:
            self.sample_ns, self.watts = reading.t_ns, reading.watts


@dataclass(slots=True)
class _Delay:
    """The least time between a reading and its arrival, of this and the last span of `DELAY_SPAN_NS`."""

    since_ns: int
    least_ns: int
    before_ns: int

    def add(self, delay_ns: int, received_ns: int) -> None:
        if not 0 <= received_ns - self.since_ns < DELAY_SPAN_NS:
            self.since_ns, self.before_ns, self.least_ns = received_ns, self.least_ns, delay_ns
        self.least_ns = min(self.least_ns, delay_ns)


def _lag_ns(reading: Reading, before_ns: int) -> int:
    if reading.clock == "bmc":
        return 0
    if reading.refresh_s is None and reading.window_s is None:
        # Nothing declared: the estimator may assume as much as the spacing of the polls.
        return max(0, reading.t_ns - before_ns) if before_ns else 0
    window_s = reading.window_s or 0.0
    refresh_s = reading.refresh_s if reading.refresh_s is not None else window_s
    return int((window_s + refresh_s) / 2 * 1e9)


class Freshness:
    """The newest of all servers; updated by the intake, read by requests and results."""

    def __init__(self, seen: Iterable[LastSeen] = ()) -> None:
        self._lock = threading.Lock()
        self._envs: dict[str, dict[str, ServerFreshness]] = {}
        self._delays: dict[str, _Delay] = {}
        for last in seen:
            server = self._server(last.env, last.server)
            server.host = last.host
            if last.reading is not None:
                server.add_reading(last.reading)
            server.heard_ns = max(server.heard_ns, last.heard_ns)

    def add(self, batch: Batch, received_ns: int | None = None) -> list[BmcPoll]:
        """Take in points; return the polls that show a host switched on or off since the poll before.

        Args:
            batch: Points.
            received_ns: Our wall clock when they arrived; None when that was long ago.
        """
        switched = []
        newest: dict[str, int] = {}
        with self._lock:
            for reading in batch.readings:
                if reading.scope == "server":
                    self._server(reading.env, reading.server).add_reading(reading)
                    newest[reading.env] = max(newest.get(reading.env, 0), reading.t_ns)
            if received_ns is not None:
                self._note_delays(newest, received_ns)
            for poll in batch.polls:
                server = self._server(poll.env, poll.server)
                if {server.host, poll.host} == {"on", "off"} and poll.t_ns >= server.heard_ns - HOUR_NS:
                    switched.append(poll)
                server.heard_ns = max(server.heard_ns, poll.t_ns)
                if poll.host != "unknown":
                    server.host = poll.host
        return switched

    def late(self, batch: Batch, now_ns: int) -> Spans:
        """Return the spans of readings that come after their time.

        Results may have been computed without them. Those are the readings older than the newest of their
        server, and any of more than `LATE_NS` ago.

        Args:
            batch: Points, not yet added.
            now_ns: Our wall clock.
        """
        before_ns = now_ns - LATE_NS
        found: Spans = {}
        with self._lock:
            for reading in batch.readings:
                if reading.scope != "server" or reading.watts is None:
                    continue
                if reading.t_ns < max(before_ns, self._newest_ns(reading)):
                    _widen(found, reading.env, reading.t_ns, reading.t_ns)
        return found

    def resumed(self, newest: Batch, now_ns: int) -> Spans:
        """Return the spans in which readings may have come late, by the newest of each server alone.

        Where the newest is `SILENT_NS` younger than the newest before, the readings in between may be new
        too; one that is new but that old already is one of many that are still coming.

        Args:
            newest: Newest reading of each server, not yet added.
            now_ns: Our wall clock.
        """
        found: Spans = {}
        with self._lock:
            for reading in newest.readings:
                before_ns = self._newest_ns(reading) or reading.t_ns - HOUR_NS
                is_old = reading.t_ns < now_ns - SILENT_NS
                if reading.t_ns - before_ns > (0 if is_old else SILENT_NS):
                    _widen(found, reading.env, before_ns, reading.t_ns)
        return found

    def _newest_ns(self, reading: Reading) -> int:
        known = self._envs.get(reading.env, {}).get(reading.server)
        return 0 if known is None else known.sample_ns

    def servers(self, env: str, since_ns: int) -> dict[str, ServerFreshness]:
        """Return the servers of ``env`` heard since; empty for an environment nobody reports."""
        with self._lock:
            known = self._envs.get(env, {})
            return {server: fresh for server, fresh in known.items() if fresh.heard_ns >= since_ns}

    def summary(self, now_ns: int) -> dict[str, tuple[int, int]]:
        """Return for each environment how many servers were heard within the hour, and its newest reading."""
        with self._lock:
            heard = {
                env: [server for server in servers.values() if server.heard_ns >= now_ns - HOUR_NS]
                for env, servers in self._envs.items()
            }
        return {
            env: (len(servers), max((server.sample_ns for server in servers), default=0))
            for env, servers in heard.items()
        }

    def delays_s(self) -> dict[str, float]:
        """Return for each environment the least delay of its readings in the last minutes, seconds.

        A reading takes a moment to arrive, so a negative delay is a collector's clock that is ahead of ours;
        a long one is a clock that is behind, or readings that are held up.
        """
        with self._lock:
            return {env: min(delay.least_ns, delay.before_ns) / 1e9 for env, delay in self._delays.items()}

    def _note_delays(self, newest: Mapping[str, int], received_ns: int) -> None:
        for env, t_ns in newest.items():
            delay_ns = received_ns - t_ns
            known = self._delays.setdefault(env, _Delay(received_ns, delay_ns, delay_ns))
            known.add(delay_ns, received_ns)

    def covers(self, env: str, servers: Iterable[str], until_ns: int) -> bool:
        """Tell whether power of each server is known up to ``until_ns``."""
        with self._lock:
            known = self._envs.get(env, {})
            return all(server in known and known[server].covered_ns >= until_ns for server in servers)

    def _server(self, env: str, server: str) -> ServerFreshness:
        return self._envs.setdefault(env, {}).setdefault(server, ServerFreshness())


def _widen(spans: Spans, env: str, first_ns: int, last_ns: int) -> None:
    known_first_ns, known_last_ns = spans.get(env, (first_ns, last_ns))
    spans[env] = (min(known_first_ns, first_ns), max(known_last_ns, last_ns))
