"""The command that prepares InfluxDB."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from http import HTTPStatus

import click

from energyrecorder.errors import ConfigError
from energyrecorder.log_options import log_options
from energyrecorder_annotator.cli.options import checked_url

WRITER = "energy_writer"
READER = "energy_reader"
ADMIN = "energy_admin"
PASSWORDS = (
    (ADMIN, "ENERGY_INFLUX_ADMIN_PASSWORD", "ADMIN"),
    (WRITER, "ENERGY_INFLUX_WRITER_PASSWORD", "ALL"),
    (READER, "ENERGY_INFLUX_READER_PASSWORD", "READ"),
)
"""User, the variable that holds its password, and what it may do."""
WHO_MAY = (
    "an administrator may: --as USER with ENERGY_INFLUX_PASSWORD, or energy_admin with "
    "ENERGY_INFLUX_ADMIN_PASSWORD, which makes it where there is none yet"
)
OPEN = "InfluxDB asks for no passwords: set auth-enabled = true under [http] of its influxdb.conf"
_DURATION = re.compile(r"[1-9]\d*[hdw]")


def _retention(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _DURATION.fullmatch(value):
        raise ConfigError(
            f"{option.opts[0]} is {value!r}; allowed: a number of hours, days or weeks such as 30d"
        )
    return value


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
    "--raw-retention",
    metavar="30d",
    callback=_retention,
    help="Keep readings so long, and their 1-min means beside them.",
)
@click.option(
    "--rollup-retention",
    default="52w",
    show_default=True,
    callback=_retention,
    help="Keep the 1-min means so long.",
)
@log_options
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
    from energyrecorder.errors import EnergyError
    from energyrecorder.secret import Secret
    from energyrecorder_annotator.influx import setup  # loads `requests`
    from energyrecorder_annotator.influx.client import InfluxAwayError, InfluxClient  # loads `requests`
    from energyrecorder_annotator.influx.settings import InfluxSettings

    settings = InfluxSettings(url=url, database=database)
    users = tuple(
        setup.User(name, Secret(os.environ[variable]), privilege)
        for name, variable, privilege in PASSWORDS
        if os.environ.get(variable)
    )
    password = os.environ.get("ENERGY_INFLUX_PASSWORD")
    user, secret = admin or None, Secret(password) if password else None
    with contextlib.closing(InfluxClient(settings)) as anybody:
        setup.refuse_others(anybody)
        if admin is None and users and users[0].name == ADMIN:
            user, secret = ADMIN, users[0].password
            if setup.first_admin(anybody, users[0]):
                click.echo(f"user {ADMIN}")
                users = users[1:]
        by_user = dataclasses.replace(settings, user=user, password=secret)
        try:
            with contextlib.closing(InfluxClient(by_user)) as client:
                for line in setup.set_up(
                    client, users, raw_retention=raw_retention, rollup_retention=rollup_retention
                ):
                    click.echo(line)
        except InfluxAwayError as error:
            if error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                raise EnergyError(f"{error}; {WHO_MAY}") from None
            raise
        if user is not None and not setup.asks_for_passwords(anybody):
            click.echo(f"W! {OPEN}")
    if raw_retention:
        click.echo(setup.changes(raw_retention))
