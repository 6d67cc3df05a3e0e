"""The command that prepares InfluxDB."""

from __future__ import annotations

import dataclasses
import os

import click

from energyrecorder_annotator.options import checked_url

WRITER = "energy_writer"
READER = "energy_reader"
ADMIN = "energy_admin"
PASSWORDS = (
    (ADMIN, "ENERGY_INFLUX_ADMIN_PASSWORD", "ADMIN"),
    (WRITER, "ENERGY_INFLUX_WRITER_PASSWORD", "ALL"),
    (READER, "ENERGY_INFLUX_READER_PASSWORD", "READ"),
)
"""User, the variable that holds its password, and what it may do."""


@click.command("init-influxdb")
@click.option(
    "--url",
    envvar="ENERGY_INFLUX_URL",
    default="http://127.0.0.1:8086",
    show_default=True,
    callback=checked_url,
    help="Where InfluxDB listens.",
)
@click.option(
    "--database", envvar="ENERGY_INFLUX_DB", default="energyrecorder", show_default=True, help="Its name."
)
@click.option(
    "--as", "admin", envvar="ENERGY_INFLUX_USER", metavar="USER", help="User that may create all this."
)
@click.option(
    "--raw-retention", metavar="30d", help="Keep readings so long, and their 1-min means beside them."
)
@click.option("--rollup-retention", default="52w", show_default=True, help="Keep the 1-min means so long.")
def init_influxdb(
    url: str, database: str, admin: str | None, raw_retention: str | None, rollup_retention: str
) -> None:
    """Create database, users and retention in InfluxDB 1.x.

    Doing it again is harmless.

    The password of --as comes from ENERGY_INFLUX_PASSWORD. Users are made for the variables that are set:
    energy_admin (ENERGY_INFLUX_ADMIN_PASSWORD; without --as it does the rest), energy_writer
    (ENERGY_INFLUX_WRITER_PASSWORD; for Telegraf and annotator), energy_reader
    (ENERGY_INFLUX_READER_PASSWORD; for Grafana).
    """
    from energyrecorder.secret import Secret  # noqa: PLC0415  # only what needs it loads it: short start, little memory
    from energyrecorder_annotator.influx.client import InfluxClient  # noqa: PLC0415  # loads `requests`
    from energyrecorder_annotator.influx.settings import InfluxSettings  # noqa: PLC0415  # only what needs it loads it: short start, little memory
    from energyrecorder_annotator.influx.setup import User, changes, duration, first_admin, set_up  # noqa: PLC0415  # only what needs it loads it: short start, little memory

    for kept in filter(None, (raw_retention, rollup_retention)):
        duration(kept)  # before anything is made
    users = tuple(
        User(name, Secret(os.environ[variable]), privilege)
        for name, variable, privilege in PASSWORDS
        if os.environ.get(variable)
    )
    password = os.environ.get("ENERGY_INFLUX_PASSWORD")
    settings = InfluxSettings(
        url=url, database=database, user=admin or None, password=Secret(password) if password else None
    )
    if admin is None and users and users[0].name == ADMIN:
        first_admin(InfluxClient(settings), users[0])
        settings = dataclasses.replace(settings, user=ADMIN, password=users[0].password)
    client = InfluxClient(settings)
    try:
        for line in set_up(client, users, raw_retention=raw_retention, rollup_retention=rollup_retention):
            click.echo(line)
    finally:
        client.close()
    if raw_retention:
        click.echo(changes(raw_retention))
