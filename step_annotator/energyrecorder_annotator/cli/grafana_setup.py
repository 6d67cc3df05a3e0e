"""The command that looks at a Grafana and gets a token from it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from energyrecorder.log_options import log_options
from energyrecorder.secret import Secret
from energyrecorder_annotator.cli.options import checked_url

PASSWORD_VARIABLE = "GRAFANA_ADMIN_PASSWORD"  # noqa: S105  # the name of a variable


@click.command("grafana-setup")
@click.option(
    "--url",
    default="http://127.0.0.1:3000",
    show_default=True,
    callback=checked_url,
    help="Where Grafana listens.",
)
@click.option(
    "--user", default="admin", show_default=True, help=f"Administrator; password: {PASSWORD_VARIABLE}."
)
@click.option("--check", "only_check", is_flag=True, help="Only look, make nothing.")
@click.option("--token-file", type=click.Path(path_type=Path), help="New file for the token, mode 0600.")
@log_options
def grafana_setup(url: str, user: str, only_check: bool, token_file: Path | None) -> None:  # noqa: FBT001  # click passes options by name
    """See that Grafana is ready, and get a token for annotations.

    Makes the service account energyrecorder (role Editor) if need be and a token in --token-file.
    """
    from energyrecorder.errors import ConfigError
    from energyrecorder_annotator.grafana_setup import Grafana  # loads `requests`

    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        raise ConfigError(f"{PASSWORD_VARIABLE} is not set: the password of Grafana's user {user!r}")
    if token_file is None and not only_check:
        raise ConfigError("missing option --token-file FILE (or --check)")
    if token_file is not None and token_file.exists():
        raise ConfigError(f"--token-file: {str(token_file)!r} is there already; remove it to get a new token")
    if token_file is not None and not token_file.parent.is_dir():
        raise ConfigError(f"--token-file: there is no folder {str(token_file.parent)!r}")
    admin = Grafana(url, user=(user, Secret(password)))
    try:
        click.echo(f"I! Grafana {admin.version()} at {url}")
        for what, ok, told in admin.findings():
            click.echo(f"{'I!' if ok else 'W!'} {what}: {told}")
        if token_file is not None and not only_check:
            _write(token_file, admin.new_token(f"annotator-{time.time_ns()}"))
            click.echo(f'token written; annotator.toml: [grafana] token = "{{file={token_file.resolve()}}}"')
            click.echo("or, where the annotator's user may not read it: ENERGY_ANNOTATOR_GRAFANA_TOKEN")
    finally:
        admin.close()


def _write(path: Path, token: Secret) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token.reveal() + "\n")
