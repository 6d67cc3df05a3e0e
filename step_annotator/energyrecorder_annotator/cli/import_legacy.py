"""The command that brings over what an original recorder has in its InfluxDB."""

from __future__ import annotations

import os
from typing import Any

import click

from energyrecorder.clock import wall_ns
from energyrecorder.log_options import log_options
from energyrecorder.secret import Secret
from energyrecorder_annotator.cli.options import checked_time, checked_url, service_options

TIMEOUT_S = 60.0
KEPT_NS = 90 * 86400 * 1_000_000_000
"""Default of ``[embedded] retention``."""
TOO_OLD = (
    'W! there are samples older than 90 days: with [samples] kind = "embedded" they are deleted within the '
    "hour unless [embedded] retention is longer"
)


@click.command("import-legacy")
@click.option(
    "--influx-url",
    envvar="ENERGY_INFLUX_URL",
    default="http://127.0.0.1:8086",
    show_default=True,
    callback=checked_url,
    help="InfluxDB 1.x of the original.",
)
@click.option("--influx-database", default="NRG", show_default=True, help="Its database.")
@click.option("--influx-user", envvar="ENERGY_INFLUX_USER", help="Password: ENERGY_INFLUX_PASSWORD.")
@click.option(
    "--from",
    "from_ns",
    metavar="TIME",
    callback=checked_time,
    help="ISO 8601 with zone; default: all there is.",
)
@click.option(
    "--to",
    "to_ns",
    metavar="TIME",
    callback=checked_time,
    help="When the annotator took over; default: now.",
)
@click.option("--dry-run", is_flag=True, help="Read and count only.")
@service_options
@log_options
def import_legacy(**options: Any) -> None:
    """Hand over what an original recorder has.

    Its samples and sessions go to the running service. Doing it again is harmless.
    """
    from energyrecorder_annotator.influx.client import InfluxClient  # loads `requests`
    from energyrecorder_annotator.influx.settings import InfluxSettings
    from energyrecorder_annotator.original.history.hand_over import HandOver  # loads `requests`
    from energyrecorder_annotator.original.history.read import OriginalDatabase  # loads `requests`
    from energyrecorder_annotator.running_service import RunningService

    password = os.environ.get("ENERGY_INFLUX_PASSWORD")
    client = InfluxClient(
        InfluxSettings(
            url=options["influx_url"],
            database=options["influx_database"],
            user=options["influx_user"] or None,
            password=Secret(password) if password else None,
            timeout_s=TIMEOUT_S,
        )
    )
    service = RunningService(options["url"], os.environ.get(options["token_env"]), timeout_s=TIMEOUT_S)
    now_ns = wall_ns()
    try:
        database = OriginalDatabase(client)
        oldest_ns = database.oldest_ns()
        if oldest_ns is None:
            click.echo("the database has none of the original's measurements")
            return
        taken = HandOver(service, dry_run=options["dry_run"]).run(
            database, max(options["from_ns"] or 0, oldest_ns), options["to_ns"] or now_ns
        )
    finally:
        client.close()
    click.echo(taken.text(is_planned=options["dry_run"]))
    if taken.oldest_ns is not None and now_ns - taken.oldest_ns > KEPT_NS:
        click.echo(TOO_OLD, err=True)
