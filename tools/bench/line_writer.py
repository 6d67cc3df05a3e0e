"""Lines per second of our line writer, beside influxdb-client's Point, which is correct but heavier."""

from __future__ import annotations

from collections.abc import Iterator

from influxdb_client import Point

from bench.measure import Figure, cpu_s, median_of_interleaved
from energyrecorder import schema
from energyrecorder.line_protocol import format_line

TAGS = {"env": "pod1", "server": "node-01", "scope": "server", "rack": "r7", "room": "b"}
FIELDS = {"watts": 212.5, "latency_ms": 31.25, "backfill": 0, "clock": "poll"}
TIME_NS = 1_700_000_000_123_456_789


def _ours(count: int) -> None:
    for _ in range(count):
        format_line("server_power", TAGS, FIELDS, TIME_NS)


def _ours_with_schema(count: int) -> None:
    power = schema.measurement(schema.SERVER_POWER)
    for _ in range(count):
        power.line(TAGS, FIELDS, TIME_NS)


def _client(count: int) -> None:
    for _ in range(count):
        point = Point("server_power")
        for key, value in TAGS.items():
            point.tag(key, value)
        for key, field in FIELDS.items():
            point.field(key, field)
        point.time(TIME_NS).to_line_protocol()


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield lines per second on one core, bare and checked against the schema."""
    count = 5_000 if quick else 20_000
    calls = [
        lambda: cpu_s(lambda: _ours(count)),
        lambda: cpu_s(lambda: _ours_with_schema(count)),
        lambda: cpu_s(lambda: _client(count)),
    ]
    ours_s, schema_s, client_s = median_of_interleaved(calls, 5)
    peer = f"influxdb-client Point: {count / client_s:.0f} lines/s"
    yield Figure("line writer", count / ours_s, "lines/s", peer, 40_000, at_least=True)
    yield Figure("line writer, ratio of CPU", ours_s / client_s, "ratio", peer, 1.0)
    yield Figure("line writer with schema check", count / schema_s, "lines/s", peer)
