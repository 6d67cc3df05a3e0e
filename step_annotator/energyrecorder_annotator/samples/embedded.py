"""Readings in a SQLite file of our own: for labs that have no time-series database."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from energyrecorder_annotator.database import open_database, open_reader
from energyrecorder_annotator.samples.base import (
    Batch,
    BmcPoll,
    LastSeen,
    Place,
    PowerPoints,
    Reading,
    SampleStoreError,
    SensorReading,
    ServerReadings,
    SourceTuple,
)
from energyrecorder_annotator.samples.rows import (
    READING_COLUMNS,
    SOURCE_COLUMNS,
    best_series,
    last_reading,
    reading_row,
    source_key,
)

if TYPE_CHECKING:
    # Loads numpy, which a service that has no result to compute does not pay for.
    from energyrecorder_analysis.series import Floats, Ints

BUCKET_NS = 600 * 1_000_000_000
"""Length of a bucket of ``presence``."""

_INSERT = "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HEARD = (
    "INSERT INTO presence VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "first_ns = min(first_ns, excluded.first_ns), last_ns = max(last_ns, excluded.last_ns)"
)
_FORGET_CHUNK = 20_000


class EmbeddedSamples:
    """`energyrecorder_annotator.samples.base.SampleStore` in one file.

    Args:
        path: The file; made if missing.
    """

    keeps_lines = False

    def __init__(self, path: Path) -> None:
        # Losing power may cost the last second of readings; a sync per batch would cost the disk.
        self._writer = open_database(
            path, package="energyrecorder_annotator.samples.migrations", durable=False
        )
        self._reader = open_reader(path)
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._series: dict[tuple[str, str, str, str], int] = {}
        self._sources: dict[tuple[Any, ...], int] = {}
        self._states: dict[tuple[str, str], tuple[bool, str, str]] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._load_ids()

    def close(self) -> None:
        """See `SampleStore`."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()

    def add(self, batch: Batch) -> None:
        """See `SampleStore`."""
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                self._add_readings(batch.readings)
                self._add_polls(batch.polls)
                self._add_sensors(batch.sensors)
                self._add_presence(batch)
                self._add_places(batch)
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                self._load_ids()
                raise SampleStoreError(f"samples cannot be written: {error}") from None

    def _load_ids(self) -> None:
        """Learn what is stored; again after a refused batch, whose new ids do not exist."""
        self._series = {
            (env, server, scope, part): series_id
            for series_id, env, server, scope, part in self._writer.execute("SELECT * FROM series")
        }
        self._sources = {tuple(row[1:]): row[0] for row in self._writer.execute("SELECT * FROM sources")}
        self._states.clear()
        self._places.clear()

    def _add_readings(self, readings: Sequence[Reading]) -> None:
        rows = [
            reading_row(reading, self._series_id(reading), self._source_id(source_key(reading)))
            for reading in readings
        ]
        self._writer.executemany(_INSERT, rows)

    def _series_id(self, reading: Reading) -> int:
        key = (reading.env, reading.server, reading.scope, reading.part or "")
        known = self._series.get(key)
        if known is None:
            statement = (
                "INSERT INTO series (env, server, scope, part) VALUES (?, ?, ?, ?) RETURNING series_id"
            )
            known = self._series[key] = int(self._writer.execute(statement, key).fetchone()[0])
        return known

    def _source_id(self, key: tuple[Any, ...]) -> int:
        known = self._sources.get(key)
        if known is None:
            statement = "INSERT INTO sources VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING source_id"
            known = self._sources[key] = int(self._writer.execute(statement, key).fetchone()[0])
        return known

    def _add_polls(self, polls: Sequence[BmcPoll]) -> None:
        changed = []
        for poll in polls:
            state = (poll.up, poll.host, poll.error)
            if self._states.get((poll.env, poll.server)) != state:
                self._states[poll.env, poll.server] = state
                changed.append((poll.env, poll.server, poll.t_ns, int(poll.up), poll.host, poll.error))
        self._writer.executemany("INSERT OR REPLACE INTO bmc_states VALUES (?, ?, ?, ?, ?, ?)", changed)

    def _add_sensors(self, sensors: Sequence[SensorReading]) -> None:
        self._writer.executemany(
            "INSERT OR REPLACE INTO sensors VALUES (?, ?, ?, ?, ?, ?)",
            [(one.env, one.server, one.sensor, one.unit, one.t_ns, one.value) for one in sensors],
        )

    def _add_presence(self, batch: Batch) -> None:
        heard: dict[tuple[str, int, str], tuple[int, int]] = {}
        totals: Iterable[Reading | BmcPoll] = [r for r in batch.readings if r.scope == "server"]
        for point in (*totals, *batch.polls):
            key = (point.env, point.t_ns // BUCKET_NS, point.server)
            first_ns, last_ns = heard.get(key, (point.t_ns, point.t_ns))
            heard[key] = (min(first_ns, point.t_ns), max(last_ns, point.t_ns))
        self._writer.executemany(_HEARD, [(*key, *span) for key, span in heard.items()])

    def _add_places(self, batch: Batch) -> None:
        points: list[Reading | SensorReading] = [*batch.readings, *batch.sensors]
        told = {(one.env, one.server): one.place for one in points if one.place}
        new = {key: place for key, place in told.items() if self._places.get(key) != place}
        self._writer.executemany(
            "INSERT OR REPLACE INTO places VALUES (?, ?, ?)",
            [(*key, json.dumps(dict(place))) for key, place in new.items()],
        )
        self._places.update(new)

    def _rows(self, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._read_lock:
                return self._reader.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise SampleStoreError(f"samples cannot be read: {error}") from None

    def _totals(self, env: str, servers: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
        """Return (series id, part) of each server's readings as a whole."""
        wanted = set(servers)
        found: dict[str, list[tuple[int, str]]] = {}
        for series_id, server, part in self._rows(
            "SELECT series_id, server, part FROM series WHERE env = ? AND scope = 'server'", (env,)
        ):
            if server in wanted:
                found.setdefault(server, []).append((series_id, part))
        return found

    def readings(
        self, env: str, servers: Iterable[str], from_ns: int, to_ns: int, prefer: Sequence[str]
    ) -> Iterator[ServerReadings]:
        """See `SampleStore`."""
        for server, series in sorted(self._totals(env, servers).items()):
            for preference, series_id in best_series(series, prefer):
                found = self._columns(series_id, from_ns, to_ns)
                if found is not None:
                    time_ns, watts, source, source_ids = found
                    sources = [self._source(source_id) for source_id in source_ids]
                    yield ServerReadings(server, preference, time_ns, watts, source, sources)
                    break

    def _columns(
        self, series_id: int, from_ns: int, to_ns: int
    ) -> tuple[Ints, Floats, Ints, list[int]] | None:
        """Return times, watts, sources and the ids of those; None without a valid reading."""
        import numpy as np

        query = (
            "SELECT t_ns, watts, source_id FROM readings "
            "WHERE series_id = ? AND t_ns >= ? AND t_ns < ? ORDER BY t_ns"
        )
        kinds = np.dtype([("t_ns", np.int64), ("watts", np.float64), ("source", np.int64)])
        try:
            with self._read_lock:
                # Straight from the cursor: a list of rows would take ten times the memory for a moment.
                rows = np.fromiter(self._reader.execute(query, (series_id, from_ns, to_ns)), dtype=kinds)
        except sqlite3.Error as error:
            raise SampleStoreError(f"samples cannot be read: {error}") from None
        if np.isnan(rows["watts"]).all():
            return None
        source_ids, source = np.unique(rows["source"], return_inverse=True)
        return rows["t_ns"].copy(), rows["watts"].copy(), source, source_ids.tolist()

    def _source(self, source_id: int) -> SourceTuple:
        [row] = self._rows(f"SELECT {SOURCE_COLUMNS} FROM sources WHERE source_id = ?", (source_id,))
        window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct = row
        return window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct

    def count(self, env: str, servers: Iterable[str], from_ns: int, to_ns: int) -> tuple[int, int]:
        """See `SampleStore`."""
        count, newest_ns = 0, 0
        for series in self._totals(env, servers).values():
            for series_id, _ in series:
                row = self._rows(
                    "SELECT count(*), max(t_ns) FROM readings WHERE series_id = ? AND t_ns >= ? AND t_ns < ?",
                    (series_id, from_ns, to_ns),
                )[0]
                count, newest_ns = count + row[0], max(newest_ns, row[1] or 0)
        return count, newest_ns

    def servers_seen(self, env: str, from_ns: int, to_ns: int) -> set[str]:
        """See `SampleStore`."""
        rows = self._rows(
            "SELECT DISTINCT server FROM presence WHERE env = ? AND bucket BETWEEN ? AND ? "
            "AND last_ns >= ? AND first_ns < ?",
            (env, from_ns // BUCKET_NS, to_ns // BUCKET_NS, from_ns, to_ns),
        )
        return {row[0] for row in rows}

    def power(
        self, filters: Mapping[str, Sequence[str]], from_ns: int, to_ns: int, max_points: int
    ) -> list[PowerPoints]:
        """See `SampleStore`."""
        terms = [
            f"{name} IN ({','.join('?' * len(filters[name]))})"
            for name in ("env", "server")
            if name in filters
        ]
        values = [value for name in ("env", "server") if name in filters for value in filters[name]]
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        series = self._rows(
            f"SELECT * FROM series {where} ORDER BY env, server, scope, part",
            values,
        )
        span_ns = max(1, -(-(to_ns - from_ns) // max_points))
        result = []
        for series_id, env, server, scope, part in series:
            points = self._rows(
                "SELECT ? + CAST(avg(t_ns - ?) AS INTEGER), avg(watts), min(watts), max(watts) FROM readings "
                "WHERE series_id = ? AND t_ns >= ? AND t_ns < ? AND watts IS NOT NULL "
                "GROUP BY (t_ns - ?) / ? ORDER BY t_ns",
                (from_ns, from_ns, series_id, from_ns, to_ns, from_ns, span_ns),
            )
            if points:
                result.append(PowerPoints(env, server, scope, part or None, points))
        return result

    def places(self, env: str, from_ns: int, to_ns: int) -> dict[str, dict[str, str]]:
        """See `SampleStore`: the last place that each server told."""
        del from_ns, to_ns
        rows = self._rows("SELECT server, place FROM places WHERE env = ?", (env,))
        return {server: json.loads(place) for server, place in rows}

    def last_seen(self, since_ns: int) -> list[LastSeen]:
        """See `SampleStore`."""
        heard = self._rows(
            "SELECT env, server, max(last_ns) FROM presence WHERE bucket >= ? GROUP BY env, server",
            (since_ns // BUCKET_NS,),
        )
        seen = []
        for env, server, heard_ns in heard:
            host = self._rows(
                "SELECT host FROM bmc_states WHERE env = ? AND server = ? AND host != 'unknown' "
                "ORDER BY t_ns DESC LIMIT 1",
                (env, server),
            )
            newest = self._rows(
                f"SELECT {READING_COLUMNS} FROM series s JOIN readings r USING (series_id) JOIN sources "
                "USING (source_id) WHERE s.env = ? AND s.server = ? AND s.scope = 'server' AND s.part = '' "
                "AND r.watts IS NOT NULL AND r.t_ns >= ? ORDER BY r.t_ns DESC LIMIT 1",
                (env, server, since_ns),
            )
            reading = last_reading(env, server, newest[0]) if newest else None
            seen.append(LastSeen(env, server, heard_ns, reading, host[0][0] if host else "unknown"))
        return seen

    def forget(self, before_ns: int) -> int:
        """See `SampleStore`."""
        forgotten = 0
        for series_id in list(self._series.values()):
            # In chunks, so that the intake never waits long for the lock.
            while True:
                with self._write_lock:
                    deleted = self._writer.execute(
                        "DELETE FROM readings WHERE series_id = ? AND t_ns IN (SELECT t_ns FROM readings "
                        "WHERE series_id = ? AND t_ns < ? ORDER BY t_ns LIMIT ?)",
                        (series_id, series_id, before_ns, _FORGET_CHUNK),
                    ).rowcount
                forgotten += deleted
                if deleted < _FORGET_CHUNK:
                    break
        with self._write_lock:
            self._writer.execute("DELETE FROM presence WHERE last_ns < ?", (before_ns,))
            forgotten += self._writer.execute("DELETE FROM sensors WHERE t_ns < ?", (before_ns,)).rowcount
        return forgotten
