"""The commands that set a fleet up: init, probe, record, pin, unlock, import-csv, import-pods."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from energyrecorder.errors import ConfigError
from energyrecorder.log_options import log_options
from energyrecorder.secret import Secret
from energyrecorder.settings import read_text
from energyrecorder_execd.files import write_as_before
from energyrecorder_execd.options import fleet_option, state_folder, state_option
from energyrecorder_execd.selection import Selection

if TYPE_CHECKING:
    from energyrecorder_execd.fleet.hosts import Host
    from energyrecorder_execd.fleet.model import Server
    from energyrecorder_execd.setup.identify import Identity

_USER_OPTIONS = (
    click.option("--user", metavar="USER", help="Account on the BMC."),
    click.option(
        "--password-env", metavar="NAME", default="BMC_PASSWORD", show_default=True,
        help="Environment variable that holds its password.",
    ),
)  # fmt: skip


def _user_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_USER_OPTIONS):
        command = option(command)
    return command


@click.command("init")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST…")
@_user_options
@click.option("--out", metavar="FILE", default="fleet.toml", show_default=True, help="The file to write.")
@log_options
def init_command(hosts: tuple[str, ...], user: str | None, password_env: str, out: str) -> None:
    """Write a first fleet file from what answers at the hosts. Ranges such as 10.0.0.[11-26] expand.

    Nothing logs in: `energy-execd once --fleet FILE` does afterwards.
    """
    from energyrecorder_execd.setup.init import first_fleet, look_around  # asyncio and HTTP

    names, parsed = _hosts(hosts)
    path = Path(out)
    if path.exists():
        raise ConfigError(f"--out {out!r} exists already; allowed: a file that does not")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {out!r} cannot be written: there is no folder {str(path.parent)!r}")
    text, count = first_fleet(names, look_around(parsed), user=user or "monitor", variable=password_env)
    if not count:
        raise ConfigError(f"nothing answered at {', '.join(names)}; no file was written")
    _write(path, text)
    click.echo(f"{out}: {count} of {len(names)} hosts. Now: {password_env}=… energy-execd once --fleet {out}")


@click.command("probe")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST…")
@_user_options
@click.option("--protocol", type=click.Choice(("auto", "redfish", "ilo", "ipmi")), default="auto")
@click.option("--tls", default="tofu", show_default=True, help="As in the fleet file.")
@click.option("--seconds", type=click.IntRange(1, 600), default=30, show_default=True, help="Polled so long.")
@click.option("--format", "as_format", type=click.Choice(("text", "json", "toml")), default="text")
@state_option
@log_options
def probe_command(
    hosts: tuple[str, ...], user: str | None, password_env: str, protocol: str, tls: str, seconds: int,
    as_format: str, state: str | None,
) -> None:  # fmt: skip
    """Show what a BMC can do, and a ready entry. Its sources stand side by side, measured.

    Exit code: 0 all hosts gave a reading, 3 some did not, 4 none did.
    """
    from energyrecorder_execd.setup import probe
    from energyrecorder_execd.setup.conversation import converse
    from energyrecorder_execd.setup.init import look_around

    names, parsed = _hosts(hosts)
    folder = state_folder(state)
    password = Secret(os.environ.get(password_env, ""))
    if not password:
        raise ConfigError(f"--password-env: environment variable {password_env} is not set")
    shown = {"text": probe.as_text, "json": probe.as_json, "toml": probe.entry_text}[as_format]
    good = 0
    for host, identity in zip(parsed, look_around(parsed), strict=True):
        server = _server(host, identity, protocol, tls)
        server = replace(server, target=replace(server.target, user=user or "monitor", password=password))
        talk = converse(server, folder, polls=seconds + 1)
        seen = identity.certificate
        found = probe.finding(talk, seen.sha256 if seen and not identity.trusted else "")
        good += found.watts is not None
        click.echo(shown(found))
    sys.exit(0 if good == len(names) else 3 if good else 4)


@click.command("record")
@fleet_option
@click.option("--server", required=True, metavar="ID", help="Which one.")
@click.option("--out", required=True, metavar="DIR", help="A new folder.")
@state_option
@log_options
def record_command(fleet: str, server: str, out: str, state: str | None) -> None:
    """Write what a BMC answered as a test case. Serials, addresses and accounts are replaced.

    Nothing is uploaded. The vendor's terms may apply to what a BMC says.
    """
    from energyrecorder_execd.setup import record
    from energyrecorder_execd.setup.conversation import converse

    chosen = Selection(Path(fleet)).load().only([server]).servers[0]
    record.make_folder(Path(out))
    files = record.case_files(converse(chosen, state_folder(state), polls=record.POLLS))
    record.write_case(files, Path(out))
    click.echo(f"{out}: {', '.join(files)}", err=True)
    click.echo(record.NOTICE, err=True)


@click.command("pin")
@fleet_option
@click.option("--server", "servers", multiple=True, metavar="ID", help="Only this server; may be repeated.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@state_option
@log_options
def pin_command(fleet: str, servers: tuple[str, ...], *, yes: bool, state: str | None) -> None:
    """Show the BMCs' certificates and pin those not trusted yet. Changed ones too, in the fleet file.

    With --server the certificate of that server is pinned whatever it is trusted by now.
    Exit code: 0 done or nothing to do, 3 some BMC showed no certificate.
    """
    from energyrecorder_execd.setup import pin  # cryptography, which only this command needs
    from energyrecorder_execd.state import FactsStore, known_pin

    loaded = Selection(Path(fleet)).load()
    wanted = loaded.only(servers) if servers else loaded
    facts = FactsStore(state_folder(state) / "servers")
    shown = pin.look(wanted, lambda server: known_pin(facts.load(server.id, server.bmc)))
    for one in shown:
        click.echo(one.text())
    pins = {one.server.id: one.sha256 for one in shown if one.sha256 and (one.needs_pin or servers)}
    if pins and (yes or _agreed(f"Pin {len(pins)} of these in the fleet file?")):
        for path in pin.write_pins(loaded, pins, _write):
            click.echo(f"{path}: written", err=True)
    sys.exit(0 if all(one.sha256 for one in shown) else 3)


@click.command("unlock")
@fleet_option
@click.option("--server", "server", metavar="ID", help="What is held back on this server's BMC.")
@click.option("--credentials", metavar="NAME", help="What is held back of this table of the fleet file.")
@state_option
@log_options
def unlock_command(fleet: str, server: str | None, credentials: str | None, state: str | None) -> None:
    """Release lock-outs: the next poll logs in at once. Without an option: all of them."""
    from energyrecorder_execd.lockout_file import LockoutFile
    from energyrecorder_execd.setup.unlock import unlock

    if server is not None and credentials is not None:
        raise click.UsageError("--server and --credentials exclude each other")
    loaded = None
    if server is not None or credentials is not None:
        loaded = Selection(Path(fleet)).load()
    if loaded is not None and server is not None:
        loaded = loaded.only([server])
    if loaded is not None and credentials is not None:
        known = sorted({one.credentials for one in loaded.servers})
        if credentials not in known:
            raise ConfigError(f"--credentials is {credentials!r}; allowed: {', '.join(map(repr, known))}")
    folder = state_folder(state)
    released = unlock(LockoutFile(folder), loaded, credentials=credentials)
    for pair in released:
        click.echo(f"released: {pair.credential.partition(':')[0]!r} on {pair.bmc}")
    click.echo(f"{len(released)} lock-outs released of the collector with state directory {folder.parent}")


@click.command("import-csv")
@click.argument("file", metavar="FILE")
@log_options
def import_csv_command(file: str) -> None:
    """Print a fleet file made of an inventory in CSV. Comments name what cannot be carried over."""
    from energyrecorder_execd.setup.import_csv import fleet_from_csv

    click.echo(fleet_from_csv(read_text(Path(file)), Path(file).name), nl=False)


@click.command("import-pods")
@click.argument("file", metavar="FILE")
@log_options
def import_pods_command(file: str) -> None:
    """Print a fleet file made of the original's YAML (PODS:). Comments name what is left out."""
    from energyrecorder_execd.setup.import_pods import fleet_from_pods

    click.echo(fleet_from_pods(read_text(Path(file)), Path(file).name), nl=False)


COMMANDS = (
    init_command,
    probe_command,
    record_command,
    pin_command,
    unlock_command,
    import_csv_command,
    import_pods_command,
)


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo("\nNothing was written; --yes writes without asking.", err=True)
        raise


def _hosts(texts: Sequence[str]) -> tuple[list[str], list[Host]]:
    from energyrecorder_execd.fleet.hosts import parse_host
    from energyrecorder_execd.fleet.ranges import expand

    try:
        # [v6]:port begins like a range and is none.
        names = [name for text in texts for name in expand(text)]
        return names, [parse_host(name) for name in names]
    except ValueError as error:
        raise ConfigError(f"HOST {' '.join(texts)!r}: allowed: {error}") from None


def _server(host: Host, identity: Identity, protocol: str, tls: str) -> Server:
    from energyrecorder_execd.fleet.tables import DEFAULTS
    from energyrecorder_execd.setup.identify import nobody

    check = next(setting.check for setting in DEFAULTS if setting.name == "tls")
    try:
        allowed = check(tls) if check else tls
    except ValueError as error:
        raise ConfigError(f"--tls is {tls!r}; allowed: {error}") from None
    chosen = identity.protocol if protocol == "auto" and identity.protocol else protocol
    server = replace(nobody(host, allowed), protocol=chosen, credentials="of the command line")
    shown = identity.certificate
    if shown is None:
        return server
    # What was looked at a moment ago is what the log-in may go to.
    pinned = f"pin:sha256:{shown.sha256}" if allowed == "tofu" else allowed
    options = {"legacy_tls": True} if shown.old_tls else {}
    return replace(server, target=replace(server.target, tls=pinned, options=options))


def _write(path: Path, text: str) -> None:
    """Replace a fleet file, which a `run` may be watching.

    Raises:
        ConfigError: It cannot be written; what was there stays.
    """
    try:
        write_as_before(path, text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
