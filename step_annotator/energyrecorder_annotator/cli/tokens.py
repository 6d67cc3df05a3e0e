"""The commands that make, list and revoke tokens; a running service takes notice at once."""

from __future__ import annotations

import time

import click

from energyrecorder.log_options import log_options
from energyrecorder_annotator.auth.caller import READ, SCOPES, WRITE


@click.group()
@click.option("--state", metavar="DIR", help="State directory.")
@click.pass_context
def token(context: click.Context, state: str | None) -> None:
    """Make, list and revoke tokens of callers. They are kept as digests; changes act at once."""
    from energyrecorder.state_dir import state_dir
    from energyrecorder_annotator.auth.tokens import FILE_NAME

    context.obj = state_dir(state) / FILE_NAME


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Default: read and write.")
@click.option("--env", "envs", multiple=True, metavar="GLOB", help="Bind to environments; default: all.")
@click.pass_context
@log_options
def create(context: click.Context, name: str, scopes: tuple[str, ...], envs: tuple[str, ...]) -> None:
    """Print a new token, which is never shown again."""
    from energyrecorder_annotator.auth.tokens import create_token

    click.echo(create_token(context.obj, name, scopes or (READ, WRITE), envs))


@token.command("list")
@click.pass_context
@log_options
def list_tokens(context: click.Context) -> None:
    """List names, ids, scopes and environments."""
    from energyrecorder_annotator.auth.tokens import read_tokens

    for one in read_tokens(context.obj):
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.created_s))
        envs = "*" if one.envs is None else ",".join(one.envs)
        click.echo(f"{one.name}  {one.token_id}  {','.join(one.scopes)}  {envs}  {created}")


@token.command()
@click.argument("name")
@click.pass_context
@log_options
def revoke(context: click.Context, name: str) -> None:
    """Revoke a token by its name or id."""
    from energyrecorder_annotator.auth.tokens import revoke_token

    revoke_token(context.obj, name)
