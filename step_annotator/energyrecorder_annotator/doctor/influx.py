"""Looks at InfluxDB for `doctor`: clock, rights, retention, mapping, two collectors for one fleet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from energyrecorder.errors import EnergyError
from energyrecorder.schema import SERVER_BMC, SERVER_POWER
from energyrecorder_annotator.doctor.finding import Finding, compared_clock
from energyrecorder_annotator.influx.client import (
    InfluxAwayError,
    InfluxClient,
    InfluxRefusedError,
    NoDatabaseError,
)
from energyrecorder_annotator.influx.influxql import identifier, in_span, table
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.influx.setup import mapping_command
from energyrecorder_annotator.poll_pairs import ADVICE, LOOKED_AT, named, polled_twice
from energyrecorder_annotator.running_service import RunningService

BESIDE_S = 300
"""Readings of so long are compared with those of the service…"""
LEAST_BESIDE = 4
"""…where there are so many of a server on both sides: the slowest BMC is polled once a minute…"""
MOST_BESIDE = 20
"""…of so many servers, which is enough to tell."""


def look(settings: InfluxSettings, embedded: RunningService | None) -> Iterator[Finding]:
    """Yield what there is to say of the InfluxDB that the annotator writes to.

    Args:
        settings: Which InfluxDB.
        embedded: The service if it keeps readings itself; None if it reads them from there.
    """
    client = InfluxClient(settings)
    try:
        try:
            yield _clock(client.clock_offset_s())
        except EnergyError as error:
            yield Finding("InfluxDB", ok=False, text=f"{error}; is it running, and is this its URL?")
            return
        readings = f'SELECT "up" FROM {table(settings.raw_retention_policy, SERVER_BMC)} LIMIT 1'
        yield _tried("reading", lambda: client.query(readings), settings)
        # Without a line nothing is written, but right, database and mapping are checked.
        yield _tried("writing", lambda: client.write(""), settings)
        if settings.bucket is None:
            yield from _finite(client)
        else:
            yield from _mapped_elsewhere(client, settings.bucket)
        yield from _both(client)
        if embedded is not None:
            yield from _one_beside(client, embedded)
    finally:
        client.close()


def _clock(offset_s: float | None) -> Finding:
    if offset_s is None:
        return Finding("InfluxDB", ok=True, text="answers; it does not tell its time")
    return compared_clock("InfluxDB", f"answers; its clock is {offset_s:+.0f} s against ours", offset_s)


def _tried(what: str, call: Callable[[], object], settings: InfluxSettings) -> Finding:
    name = f"InfluxDB, {what}"
    try:
        call()
    except InfluxRefusedError:
        # 2.x and 3.x may find fault with a request that holds no point; they do so after checking rights.
        return Finding(name, ok=True, text="allowed")
    except EnergyError as error:
        return Finding(name, ok=False, text=f"{error}; {_advice(error, settings)}")
    return Finding(name, ok=True, text="allowed")


def _advice(error: EnergyError, settings: InfluxSettings) -> str:
    if isinstance(error, NoDatabaseError):
        return _what_to_make(str(error), settings)
    status = error.status if isinstance(error, InfluxAwayError) else None
    if status == HTTPStatus.UNAUTHORIZED:
        return "correct 'user' and 'password', or 'token', in [influxdb]"
    if status == HTTPStatus.FORBIDDEN:
        return f"its user or token needs reading and writing on {settings.bucket or settings.database!r}"
    return "see docs/operations.md"


def _what_to_make(told: str, settings: InfluxSettings) -> str:
    if "retention policy" in told:
        return "correct 'raw_retention_policy' in [influxdb], or make it: init-influxdb --raw-retention 30d"
    if settings.bucket is None:
        return f"an administrator makes {settings.database!r}: energy-annotator init-influxdb"
    if "dbrp" in told:
        return f"map the database name to the bucket: {mapping_command(settings)}"
    return f"make bucket {settings.bucket!r}, or correct 'bucket' and 'org' in [influxdb]"


def _finite(client: InfluxClient) -> Iterator[Finding]:
    """Yield that steps, results and profiles go to a policy that does not keep them for ever."""
    database = identifier(client.settings.database)
    try:
        (found,) = client.query(f"SHOW RETENTION POLICIES ON {database}")
    except EnergyError:
        return
    for row in (dict(zip(one.columns, row, strict=False)) for one in found for row in one.rows):
        if row.get("default") and row.get("duration") != "0s":
            name, kept = row["name"], row["duration"]
            told = f"the default policy {name!r} deletes steps after {kept} and takes no profiles"
            advice = f"ALTER RETENTION POLICY {identifier(name)} ON {database} DURATION INF"
            yield Finding("InfluxDB, retention", ok=False, text=f"{told}; {advice}")


def _mapped_elsewhere(client: InfluxClient, bucket: str) -> Iterator[Finding]:
    """Yield that another bucket is read than the one that is written to, as far as this token may see it."""
    settings = client.settings
    try:
        mappings = client.listed("dbrps", "content", db=settings.database)
        written = {one.get("id") for one in client.listed("buckets", "buckets", name=bucket)}
    except EnergyError:
        return
    policy = settings.raw_retention_policy
    read = {one.get("bucketID") for one in mappings if one.get("retention_policy") == policy}
    if read and written and read.isdisjoint(written):
        told = f"{settings.database!r} is read from another bucket than {bucket!r}, which is written to"
        advice = f"influx v1 dbrp list, delete that mapping, then {mapping_command(settings)}"
        yield Finding("InfluxDB, mapping", ok=False, text=f"{told}: {advice}")


def _both(client: InfluxClient) -> Iterator[Finding]:
    """Yield that two collectors write to InfluxDB."""
    polls = table(client.settings.raw_retention_policy, SERVER_BMC)
    select = f'SELECT "up" FROM {polls} WHERE time > now() - 1h'
    try:
        (found,) = client.query(f'{select} GROUP BY "env", "server" ORDER BY time DESC LIMIT {LOOKED_AT}')
    except EnergyError:
        return
    twice = [one.tags["server"] for one in found if polled_twice(row[0] for row in one.rows)]
    if twice:
        text = f"polled by two at once: {named(twice)} of {len(found)}; {ADVICE}"
        yield Finding("collectors", ok=False, text=text)


def _one_beside(client: InfluxClient, service: RunningService) -> Iterator[Finding]:
    """Yield that a collector writes to InfluxDB beside one whose readings come to the service.

    One whose readings go both ways shares their times; of two, hardly ever a nanosecond is the same.
    """
    to_ns = time.time_ns()
    from_ns = to_ns - BESIDE_S * 10**9
    power = table(client.settings.raw_retention_policy, SERVER_POWER)
    where = f"\"scope\" = 'server' AND \"part\" = '' AND {in_span(from_ns, to_ns)}"
    try:
        (found,) = client.query(
            f'SELECT "watts" FROM {power} WHERE {where} GROUP BY "env", "server" SLIMIT {MOST_BESIDE}'
        )
        theirs = {(one.tags["env"], one.tags["server"]): {row[0] for row in one.rows} for one in found}
        ours = service.times({server for _, server in theirs}, from_ns, to_ns)
    except EnergyError:
        return
    beside = [place[1] for place, times in theirs.items() if _are_others(times, ours.get(place, set()))]
    if beside:
        told = f"{named(beside)}: one collector's readings come to the service, another's to InfluxDB"
        yield Finding("collectors", ok=False, text=f"{told}; {ADVICE}")


def _are_others(theirs: set[int], ours: set[int]) -> bool:
    return min(len(theirs), len(ours)) >= LEAST_BESIDE and theirs.isdisjoint(ours)
