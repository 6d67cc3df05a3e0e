"""Readings in InfluxDB: written by Telegraf (or by us), read back by InfluxQL, which 1.x to 3.x speak."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from energyrecorder.errors import EnergyError
from energyrecorder.schema import SERVER_BMC, SERVER_POWER, STATIC_TAGS
from energyrecorder_annotator.influx.client import (
    InfluxClient,
    NoDatabaseError,
    Series,
)
from energyrecorder_annotator.influx.influxql import identifier, in_span, table, tag_in, tag_is
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.influx.writer import LineWriter
from energyrecorder_annotator.samples.base import (
    Batch,
    BmcPoll,
    LastSeen,
    PowerPoints,
    Reading,
    SampleStoreError,
    ServerReadings,
    SourceTuple,
)
from energyrecorder_annotator.samples.lines import batch_lines
from energyrecorder_annotator.samples.rows import preference_of

_ROW = ("watts", "window_s", "refresh_s", "quantum_w", "clock", "source", "side", "accuracy_pct")
"""In the order of `energyrecorder_analysis.series.PowerRow`, after the time."""
_TOTALS = "\"scope\" = 'server'"


class InfluxSamples:
    """`energyrecorder_annotator.samples.base.SampleStore` in InfluxDB.

    Args:
        settings: Which InfluxDB, and where in it ``server_power`` lives.
    """

    keeps_lines = True

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._local = threading.local()
        self._clients: list[InfluxClient] = []
        self._lock = threading.Lock()
        self._writer = LineWriter(self._client, "samples", retention_policy=settings.raw_retention_policy)
        self._power = table(settings.raw_retention_policy, SERVER_POWER)
        self._bmc = table(settings.raw_retention_policy, SERVER_BMC)

    def close(self) -> None:
        """See `SampleStore`."""
        with self._lock:
            for client in self._clients:
                client.close()

    def add(self, batch: Batch) -> None:
        """See `SampleStore`; a batch cut by an outage is written again as a whole, which changes nothing."""
        try:
            self._writer.write(list(batch_lines(batch)))
        except EnergyError as error:
            raise SampleStoreError(f"samples cannot be written: {error}") from None

    def readings(
        self, env: str, servers: Iterable[str], from_ns: int, to_ns: int, prefer: Sequence[str]
    ) -> Iterator[ServerReadings]:
        """See `SampleStore`."""
        columns = ", ".join(identifier(name) for name in _ROW)
        for server in sorted(set(servers)):
            where = f"{tag_is('env', env)} AND {tag_is('server', server)} AND {_TOTALS}"
            [found] = self._query(
                f"SELECT {columns} FROM {self._power} WHERE {where} AND {in_span(from_ns, to_ns)} "
                'GROUP BY "part"'
            )
            usable = sorted(
                (prefer.index(name), series.tags["part"], name, series)
                for series in found
                if (name := preference_of(series.tags["part"])) in prefer and name is not None
            )
            for _, _, name, series in usable:
                if any(row[1] is not None for row in series.rows):
                    yield _columns(server, name, series)
                    break

    def count(self, env: str, servers: Iterable[str], from_ns: int, to_ns: int) -> tuple[int, int]:
        """See `SampleStore`."""
        wanted = set(servers)
        where = f'{tag_is("env", env)} AND {_TOTALS} AND {in_span(from_ns, to_ns)} GROUP BY "server", "part"'
        counted, newest = self._query(
            f'SELECT count("watts") FROM {self._power} WHERE {where}',
            f'SELECT last("watts") FROM {self._power} WHERE {where}',
        )
        ours = [series for series in counted if series.tags["server"] in wanted]
        return (
            sum(row[1] for series in ours for row in series.rows),
            max((row[0] for one in newest if one.tags["server"] in wanted for row in one.rows), default=0),
        )

    def servers_seen(self, env: str, from_ns: int, to_ns: int) -> set[str]:
        """See `SampleStore`."""
        where = f"{tag_is('env', env)} AND {in_span(from_ns, to_ns)}"
        found = self._query(
            f'SELECT last("up") FROM {self._bmc} WHERE {where} GROUP BY "server"',
            f'SELECT last("watts") FROM {self._power} WHERE {where} AND {_TOTALS} GROUP BY "server"',
        )
        return {series.tags["server"] for answer in found for series in answer}

    def power(
        self, filters: Mapping[str, Sequence[str]], from_ns: int, to_ns: int, max_points: int
    ) -> list[PowerPoints]:
        """See `SampleStore`."""
        span_ns = max(1, -(-(to_ns - from_ns) // max_points))
        terms = [tag_in(name, filters[name]) for name in ("env", "server") if name in filters]
        where = " AND ".join([*terms, in_span(from_ns, to_ns)])
        [found] = self._query(
            f'SELECT mean("watts"), min("watts"), max("watts") FROM {self._power} WHERE {where} GROUP BY '
            f'"env", "server", "scope", "part", time({span_ns}ns, {from_ns % span_ns}ns) fill(none)'
        )
        return [
            PowerPoints(
                env=series.tags["env"],
                server=series.tags["server"],
                scope=series.tags["scope"],
                part=series.tags["part"] or None,
                points=[(row[0] + span_ns // 2, row[1], row[2], row[3]) for row in series.rows],
            )
            for series in sorted(found, key=lambda one: sorted(one.tags.items()))
            if series.rows
        ]

    def places(self, env: str, from_ns: int, to_ns: int) -> dict[str, dict[str, str]]:
        """See `SampleStore`: the place told last in the span."""
        tags = ", ".join(map(identifier, ("server", *STATIC_TAGS)))
        where = f"{tag_is('env', env)} AND {in_span(from_ns, to_ns)}"
        [found] = self._query(f'SELECT last("watts") FROM {self._power} WHERE {where} GROUP BY {tags}')
        newest = sorted((one.rows[0][0], one.tags["server"], one) for one in found if one.rows)
        return {
            server: {name: one.tags[name] for name in STATIC_TAGS if one.tags[name]}
            for _, server, one in newest
            if any(one.tags[name] for name in STATIC_TAGS)
        }

    def last_seen(self, since_ns: int) -> list[LastSeen]:
        """See `SampleStore`."""
        newest = self.newest(since_ns)
        readings = {(one.env, one.server): one for one in newest.readings if one.is_total}
        hosts = {(poll.env, poll.server): poll for poll in newest.polls}
        heard: dict[tuple[str, str], int] = {}
        points: list[Reading | BmcPoll] = [*newest.readings, *newest.polls]
        for point in points:
            key = (point.env, point.server)
            heard[key] = max(heard.get(key, 0), point.t_ns)
        return [
            LastSeen(
                env=key[0],
                server=key[1],
                heard_ns=heard_ns,
                reading=readings.get(key),
                host=hosts[key].host if key in hosts else "unknown",
            )
            for key, heard_ns in sorted(heard.items())
        ]

    def newest(self, since_ns: int) -> Batch:
        """Return the newest valid reading of each series of a whole server, and each BMC's newest poll."""
        columns = ", ".join(identifier(name) for name in _ROW)
        order = f"time >= {since_ns} GROUP BY"
        power, polls = self._query(
            f'SELECT {columns} FROM {self._power} WHERE {_TOTALS} AND "watts" >= 0 AND {order} '
            '"env", "server", "part" ORDER BY time DESC LIMIT 1',
            f'SELECT "host", "up", "error" FROM {self._bmc} WHERE {order} '
            '"env", "server" ORDER BY time DESC LIMIT 1',
        )
        return Batch(
            readings=[_reading(series) for series in power],
            polls=[_poll(one.tags["env"], one.tags["server"], one.rows[0]) for one in polls],
        )

    def forget(self, before_ns: int) -> int:
        """Delete nothing: how long readings are kept is the retention policy's business."""
        del before_ns
        return 0

    def _client(self) -> InfluxClient:
        client: InfluxClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = InfluxClient(self._settings)
            with self._lock:
                self._clients.append(client)
        return client

    def _query(self, *statements: str) -> list[list[Series]]:
        client = self._client()
        try:
            try:
                return client.query(*statements)
            except NoDatabaseError:
                # Nobody has written yet. Where that is not the reason, the second answer says what is.
                with contextlib.suppress(EnergyError):
                    client.create_database()
                return client.query(*statements)
        except EnergyError as error:
            raise SampleStoreError(f"samples cannot be read: {error}") from None


def _columns(server: str, preference: str, series: Series) -> ServerReadings:
    import numpy as np

    index: dict[SourceTuple, int] = {}
    source = [index.setdefault(_source(row), len(index)) for row in series.rows]
    return ServerReadings(
        server,
        preference,
        np.array([row[0] for row in series.rows], dtype=np.int64),
        np.array([row[1] for row in series.rows], dtype=np.float64),
        np.array(source, dtype=np.int64),
        list(index),
    )


def _source(row: Sequence[Any]) -> SourceTuple:
    window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct = row[2:]
    return window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct


def _reading(series: Series) -> Reading:
    t_ns, watts, window_s, refresh_s, quantum_w, clock, source, side, accuracy_pct = series.rows[0]
    return Reading(
        env=series.tags["env"],
        server=series.tags["server"],
        scope="server",
        part=series.tags["part"] or None,
        t_ns=t_ns,
        watts=watts,
        window_s=window_s,
        refresh_s=refresh_s,
        quantum_w=quantum_w,
        clock=clock,
        source=source,
        side=side,
        accuracy_pct=accuracy_pct,
    )


def _poll(env: str, server: str, row: Sequence[object]) -> BmcPoll:
    t_ns, host, up, error = row
    return BmcPoll(
        env=env,
        server=server,
        t_ns=int(str(t_ns)),
        up=bool(up),
        host=host if isinstance(host, str) and host else "unknown",
        error=error if isinstance(error, str) else "",
    )
