"""Prepares an InfluxDB 1.x: database, users, and finite raw data with 1-min means and states beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from energyrecorder.errors import EnergyError
from energyrecorder.schema import SERVER_BMC, SERVER_INFO, SERVER_POWER, measurement
from energyrecorder.secret import Secret
from energyrecorder_annotator.influx.client import InfluxClient
from energyrecorder_annotator.influx.influxql import identifier, string, table
from energyrecorder_annotator.influx.settings import InfluxSettings

RAW = "raw"
ROLLUP = "rollup"


@dataclass(frozen=True, slots=True)
class User:
    """One user to have.

    Args:
        name: Its name.
        password: Its password.
        privilege: ``ADMIN`` for the whole server, else what it may do with the database: ``ALL`` or ``READ``.
    """

    name: str
    password: Secret
    privilege: str


def refuse_others(client: InfluxClient) -> None:
    """Refuse a server that is no 1.x: others want buckets and tokens, made by their own programs.

    Raises:
        EnergyError: It is another, with what to make there instead; or it is away.
    """
    settings, version = client.settings, client.version() or ""
    if version.startswith("2."):
        mapping = mapping_command(settings)
        told = f"a bucket that keeps its data for ever, a token that reads and writes it, and: {mapping}"
    elif version.startswith("3."):
        told = f"a database {settings.database!r} that keeps its data for ever, and a token"
    else:
        return
    raise EnergyError(
        f"InfluxDB at {settings.url} is {version}, and this command prepares 1.x; make there {told}; "
        "docs/grafana.md, 'The database'"
    )


def mapping_command(settings: InfluxSettings) -> str:
    """Return the command by which InfluxQL finds a bucket of 2.x under the name of the database."""
    names = f"--db {settings.database} --rp {settings.raw_retention_policy}"
    return f"influx v1 dbrp create {names} --bucket-id ID --default"


def first_admin(client: InfluxClient, user: User) -> bool:
    """Create the first administrator, which InfluxDB allows to anybody while there is none.

    Args:
        client: Without a user.
        user: The administrator; when there is one already nothing happens.

    Returns:
        Whether it was made.
    """
    try:
        _user(client, user, "", exists=False)
    except EnergyError:
        # Asked to log in: there is one. Whether the server is there at all, the next call says.
        return False
    return True


def asks_for_passwords(client: InfluxClient) -> bool:
    """Return whether InfluxDB refuses a client without a user."""
    try:
        client.query("SHOW DATABASES")
    except EnergyError:
        return True
    return False


def set_up(
    client: InfluxClient, users: tuple[User, ...], *, raw_retention: str | None, rollup_retention: str
) -> Iterator[str]:
    """Create what is missing and yield a line for each thing done or found; doing it again is harmless.

    Args:
        client: As a user who may do that, or of a server without authentication.
        users: Those to have; the password of one that exists is left alone.
        raw_retention: How long readings are kept, such as ``30d``; None leaves them in ``autogen`` for ever.
        rollup_retention: How long 1-min means are kept.

    Raises:
        EnergyError: InfluxDB is away or refuses.
    """
    database = identifier(client.settings.database)
    client.create_database()
    yield f"database {client.settings.database}"
    existing = {row[0] for series in client.query("SHOW USERS")[0] for row in series.rows}
    for user in users:
        yield _user(client, user, database, exists=user.name in existing)
    if raw_retention is not None:
        _retention(client, database, RAW, raw_retention)
        _retention(client, database, ROLLUP, rollup_retention)
        for name, statement in continuous_queries(client.settings.database).items():
            client.query(f"DROP CONTINUOUS QUERY {identifier(name)} ON {database}")
            client.query(statement)
        yield f"readings kept for {raw_retention}, their 1-min means for {rollup_retention}"


def continuous_queries(database: str) -> Mapping[str, str]:
    """Return by name the statements that keep 1-min means, and with them what dashboards show beside power.

    Means look back 2 h, for late readings; states and descriptions are of the present.
    """
    means = 'mean("watts") AS "watts", min("watts") AS "min_w", max("watts") AS "max_w"'
    selected = {SERVER_POWER: (means, "2h")}
    for name in (SERVER_BMC, SERVER_INFO):
        fields = (identifier(field.name) for field in measurement(name).fields)
        selected[name] = (", ".join(f"last({field}) AS {field}" for field in fields), "5m")
    named = {f"energy_{name}_1m": (name, *what) for name, what in selected.items()}
    return {query: _continuous_query(database, query, *what) for query, what in named.items()}


def _continuous_query(database: str, query: str, name: str, columns: str, window: str) -> str:
    source, target = (f"{identifier(database)}.{table(policy, name)}" for policy in (RAW, ROLLUP))
    select = f"SELECT {columns} INTO {target} FROM {source} GROUP BY time(1m), *"
    made = f"{identifier(query)} ON {identifier(database)}"
    return f"CREATE CONTINUOUS QUERY {made} RESAMPLE EVERY 1m FOR {window} BEGIN {select} END"


def changes(raw_retention: str | None) -> str:
    """Return which two lines to change so that readings go to the finite policy; empty when there is none."""
    if raw_retention is None:
        return ""
    return (
        "change two lines, then reload Telegraf and restart the annotator:\n"
        f'  energy-influxdb.conf: retention_policy = "{RAW}"\n'
        f'  annotator.toml, [influxdb]: raw_retention_policy = "{RAW}"\n'
        f"  (without that file ENERGY_ANNOTATOR_INFLUXDB_RAW_RETENTION_POLICY={RAW} in its environment)\n"
        f"and choose 'Readings from: policy {RAW}' above the dashboards"
    )


def _user(client: InfluxClient, user: User, database: str, *, exists: bool) -> str:
    name = identifier(user.name)
    if not exists:
        password = string(user.password.reveal())
        every = " WITH ALL PRIVILEGES" if user.privilege == "ADMIN" else ""
        client.query(f"CREATE USER {name} WITH PASSWORD {password}{every}")
    if user.privilege != "ADMIN":
        client.query(f"GRANT {user.privilege} ON {database} TO {name}")
    return f"user {user.name}" + (" (was there: its password is left alone)" if exists else "")


def _retention(client: InfluxClient, database: str, policy: str, kept: str) -> None:
    rows = [
        row for series in client.query(f"SHOW RETENTION POLICIES ON {database}")[0] for row in series.rows
    ]
    verb = "ALTER" if policy in {row[0] for row in rows} else "CREATE"
    # 0s: shards as InfluxDB makes them for this duration. Those of a longer one would be refused.
    how = f"DURATION {kept} REPLICATION 1 SHARD DURATION 0s"
    client.query(f"{verb} RETENTION POLICY {identifier(policy)} ON {database} {how}")
