"""The annotator's settings: flag, then ``ENERGY_ANNOTATOR_*``, then the file, then the default."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret, resolve
from energyrecorder.settings import Setting, load_toml, read_table, read_value
from energyrecorder_annotator.samples.base import PREFERENCES

DEFAULT_FILE = Path("/etc/energyrecorder/annotator.toml")
DEFAULT_FLEET = Path("/etc/energyrecorder/fleet.toml")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _commands(value: list[Any]) -> tuple[tuple[str, ...], ...]:
    for command in value:
        if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
            raise ValueError('a list of commands, each a list of words such as ["energy-execd", "run"]')
    return tuple(tuple(command) for command in value)


def _preferences(value: list[str]) -> tuple[str, ...]:
    if not value or len(set(value)) != len(value) or not set(value) <= set(PREFERENCES):
        raise ValueError(f"some of {', '.join(map(repr, PREFERENCES))}, each once")
    return tuple(value)


TABLES: Mapping[str, tuple[Setting, ...]] = {
    "listen": (
        Setting("host", "str", "address to listen on", default="127.0.0.1"),
        Setting("port", "int", "TCP port; 0 = any free one", default=8742, minimum=0, maximum=65535),
        Setting("token", "str", "bearer token that callers must send; {env=NAME} or {file=PATH}"),
    ),
    "store": (Setting("path", "str", "SQLite file of steps and results; default: in the state directory"),),
    "samples": (
        Setting("kind", "str", "where readings are kept", default="embedded", choices=("embedded",)),
        Setting(
            "prefer",
            "list[str]",
            "whose reading of a server counts, best first",
            default=PREFERENCES,
            check=_preferences,
        ),
    ),
    "embedded": (
        Setting(
            "commands", "list", "execd plugins to run, each a list of words", default=(), check=_commands
        ),
        Setting("interval", "duration", "time between newlines to the plugins", default=10.0, minimum=0.1),
        Setting("retention", "duration", "how long readings are kept", default=90 * 86400.0, minimum=3600.0),
    ),
}
"""Every table and key of ``annotator.toml``."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings in force.

    Args:
        source: File they come from; None without one.
        host: Address to listen on.
        port: 0 = any free one.
        token: Bearer token; None = none needed.
        store: Journal's file; None = in the state directory.
        prefer: Whose reading of a server counts, best first.
        commands: Plugins to run.
        interval_s: Time between newlines to them.
        retention_s: How long readings are kept.
    """

    source: Path | None
    host: str
    port: int
    token: Secret | None
    store: Path | None
    prefer: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    interval_s: float
    retention_s: float


def load_config(
    *, config: str | None, fleet: str | None, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Config:
    """Return the settings in force.

    Args:
        config: Path of ``annotator.toml``; None looks at ``ENERGY_ANNOTATOR_CONFIG``, then the usual place.
        fleet: Path of a fleet file to run the collector on instead of the file's plugins; None looks at
            ``ENERGY_FLEET`` and the usual place if there is no settings file either.
        environ: Environment variables.
        flags: ``host`` and ``port`` as given on the command line; None = not given.

    Raises:
        ConfigError: A mistake in the file, a variable or a flag; or neither file is there.
    """
    path = _settings_file(config, fleet, environ)
    tables = {} if path is None else load_toml(path)
    where = "settings" if path is None else str(path)
    for name in tables:
        if name not in TABLES:
            raise ConfigError(f"{where}: unknown table {name!r}; allowed: {', '.join(TABLES)}")
    values = {
        name: read_table(tables.get(name, {}), settings, where=f"{where}: [{name}]")
        for name, settings in TABLES.items()
    }
    _take_environment(values, environ)
    listen, embedded = values["listen"], values["embedded"]
    listen.update({name: value for name, value in flags.items() if value is not None})
    commands = embedded["commands"]
    if fleet is not None or path is None:
        commands = (_collector(_fleet_file(fleet, environ)),)
    token = listen["token"]
    return Config(
        source=path,
        host=listen["host"],
        port=listen["port"],
        token=None if token is None else resolve(token, where=f"{where}: [listen] token", environ=environ),
        store=None if values["store"]["path"] is None else Path(values["store"]["path"]),
        prefer=tuple(values["samples"]["prefer"]),
        commands=tuple(commands),
        interval_s=embedded["interval"],
        retention_s=embedded["retention"],
    )


def check_exposure(config: Config, *, insecure: bool) -> str | None:
    """Return the warning to give when listening beyond this machine without a token, or None.

    Raises:
        ConfigError: That is so and ``insecure`` was not asked for.
    """
    if config.host in LOOPBACK or config.token is not None:
        return None
    if not insecure:
        raise ConfigError(
            f"host is {config.host!r} and there is no token: anybody could write; set [listen] token or "
            "ENERGY_ANNOTATOR_TOKEN, listen on 127.0.0.1, or give --insecure"
        )
    return f"listening on {config.host!r} without a token: anybody who can reach it may read and write"


def _settings_file(config: str | None, fleet: str | None, environ: Mapping[str, str]) -> Path | None:
    named = config or environ.get("ENERGY_ANNOTATOR_CONFIG")
    if named:
        return Path(named)
    return DEFAULT_FILE if fleet is None and DEFAULT_FILE.exists() else None


def _fleet_file(fleet: str | None, environ: Mapping[str, str]) -> Path:
    named = fleet or environ.get("ENERGY_FLEET")
    path = Path(named) if named else DEFAULT_FLEET
    if not path.is_file():
        if named:
            raise ConfigError(f"fleet file {named!r} is not there")
        raise ConfigError(
            f"neither {DEFAULT_FILE} nor {DEFAULT_FLEET} is there; give --config FILE or --fleet FILE"
        )
    return path.resolve()


def _collector(fleet: Path) -> tuple[str, ...]:
    beside = Path(sys.argv[0]).resolve().parent / "energy-execd"
    in_prefix = Path(sys.prefix) / "bin" / "energy-execd"
    for program in (beside, in_prefix):
        if os.access(program, os.X_OK):
            return (str(program), "run", "--fleet", str(fleet))
    found = shutil.which("energy-execd")
    if found is None:
        raise ConfigError("the collector energy-execd is not installed; pip install 'energyrecorder[execd]'")
    return (found, "run", "--fleet", str(fleet))


def _take_environment(values: dict[str, dict[str, Any]], environ: Mapping[str, str]) -> None:
    for table, settings in TABLES.items():
        for setting in settings:
            if setting.kind.startswith("list"):
                continue
            prefix = "" if table == "listen" else f"{table.upper()}_"
            name = f"ENERGY_ANNOTATOR_{prefix}{setting.name.upper()}"
            if environ.get(name):
                text: Any = environ[name]
                if setting.kind == "int" and text.isdecimal():
                    text = int(text)
                values[table][setting.name] = read_value(text, setting, where=f"environment variable {name}")
