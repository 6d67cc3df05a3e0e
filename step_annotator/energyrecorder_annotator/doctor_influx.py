"""Looks at InfluxDB for `doctor`: clock, rights, mapping, and whether two collectors poll one fleet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from energyrecorder.errors import EnergyError
from energyrecorder.schema import SERVER_BMC
from energyrecorder_annotator.doctor import MOST_OFFSET_S, Finding
from energyrecorder_annotator.influx.client import InfluxClient, InfluxRefusedError, NoDatabaseError
from energyrecorder_annotator.influx.influxql import identifier
from energyrecorder_annotator.influx.settings import InfluxSettings

LOOKED_AT = 30
"""Polls of each server whose distances are looked at."""
LEAST_GAPS = 8


def look(settings: InfluxSettings) -> Iterator[Finding]:
    """Yield what there is to say of the InfluxDB that the annotator writes to."""
    client = InfluxClient(settings)
    try:
        try:
            yield _clock(client.clock_offset_s())
        except EnergyError as error:
            yield Finding("InfluxDB", ok=False, text=f"{error}; is it running, and is this its URL?")
            return
        yield _tried("reading", lambda: client.query("SHOW MEASUREMENTS LIMIT 1"), settings)
        # Without a line nothing is written, but right, database and mapping are checked.
        yield _tried("writing", lambda: client.write(""), settings)
        yield from _collectors(client)
    finally:
        client.close()


def _clock(offset_s: float | None) -> Finding:
    if offset_s is None:
        return Finding("InfluxDB", ok=True, text="answers; it does not tell its time")
    text = f"answers; its clock is {offset_s:+.0f} s against ours"
    return Finding("InfluxDB", ok=abs(offset_s) <= MOST_OFFSET_S, text=text)


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
    told = str(error)
    if isinstance(error, NoDatabaseError):
        if settings.bucket is None:
            return f"an administrator makes {settings.database!r}: energy-annotator init-influxdb"
        if "dbrp" in told:
            mapping = f"--db {settings.database} --rp autogen --bucket-id ID --default"
            return f"map the database name to the bucket: influx v1 dbrp create {mapping}"
        return f"make bucket {settings.bucket!r}, or correct 'bucket' and 'org' in [influxdb]"
    if "HTTP 401" in told:
        return "correct 'user' and 'password', or 'token', in [influxdb]"
    if "HTTP 403" in told:
        return f"its user or token needs reading and writing on {settings.bucket or settings.database!r}"
    return "see docs/operations.md"


def _collectors(client: InfluxClient) -> Iterator[Finding]:
    policy = client.settings.raw_retention_policy
    table = (
        identifier(SERVER_BMC) if policy == "autogen" else f"{identifier(policy)}.{identifier(SERVER_BMC)}"
    )
    select = f'SELECT "up" FROM {table} WHERE time > now() - 1h'  # noqa: S608  # quoted
    try:
        (found,) = client.query(f'{select} GROUP BY "server" ORDER BY time DESC LIMIT {LOOKED_AT}')
    except EnergyError:
        return
    twice = sorted(one.tags["server"] for one in found if polled_twice([row[0] for row in one.rows]))
    if twice:
        told = f"{', '.join(twice[:5])}{' …' if len(twice) > 5 else ''} of {len(found)}"  # noqa: PLR2004  # enough to see which fleet
        text = f"polled by two at once: {told}; stop one energy-execd, or split the fleet with --shard"
        yield Finding("collectors", ok=False, text=text)


def polled_twice(times_ns: Sequence[int]) -> bool:
    """Return whether two collectors read one server, from the times of its polls.

    Both stand on the same ticks, because a server's place in the interval follows from its name; so polls
    come in pairs, the gap within a pair being far shorter than that to the next.
    """
    ordered = sorted(times_ns)
    gaps = sorted(after - before for before, after in itertools.pairwise(ordered))
    if len(gaps) < LEAST_GAPS:
        return False
    return gaps[len(gaps) * 2 // 5] < gaps[len(gaps) * 3 // 5] / 4
