"""The annotator's settings: flag, then ``ENERGY_ANNOTATOR_*``, then the file, then the default."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret, resolve
from energyrecorder.settings import Setting, load_toml, read_table
from energyrecorder_annotator.influx.settings import SETTINGS as INFLUXDB
from energyrecorder_annotator.influx.settings import InfluxSettings, influx_settings
from energyrecorder_annotator.samples.base import PREFERENCES
from energyrecorder_annotator.sinks.settings import GRAFANA, WEBHOOK, HttpSinkSettings, http_sink_settings
from energyrecorder_annotator.variables import CONFIG, PREFIX, take_variables, unknown_variables

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
        Setting("tls_certificate", "str", "PEM file with the certificate chain; present = HTTPS"),
        Setting("tls_key", "str", "PEM file with its key; default: in the certificate's file"),
        Setting(
            "requests_per_s",
            "float",
            "most requests of one caller, on average; 0 = any",
            default=5000.0,
            minimum=0,
        ),
        Setting("open_steps", "int", "most steps that run at once", default=10_000, minimum=1),
    ),
    "store": (Setting("path", "str", "SQLite file of steps and results; default: in the state directory"),),
    "samples": (
        Setting(
            "kind", "str", "where readings are kept", default="embedded", choices=("embedded", "influxdb")
        ),
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
    "influxdb": INFLUXDB,
    "grafana": GRAFANA,
    "webhook": WEBHOOK,
    "legacy": (
        Setting(
            "always_record",
            "bool",
            "keep samples posted to the original API while no session runs",
            default=True,
        ),
        Setting(
            "mirror_database",
            "str",
            "database that gets the original's measurements as well, in the same InfluxDB; absent = none",
        ),
        Setting(
            "ttl", "duration", "silence after which its session is lost", default=12 * 3600.0, minimum=1.0
        ),
    ),
}
"""Every table and key of ``annotator.toml`` but ``[env_aliases]``, whose keys are names of environments."""

ENV_ALIASES = "env_aliases"


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
        tls_certificate: PEM file; None = plain HTTP.
        tls_key: PEM file; None = in the certificate's file.
        requests_per_s: Most requests of one caller; 0 = any.
        open_steps: Most steps that run at once.
        always_record: Whether samples of the original API are kept while no session runs.
        legacy_ttl_s: Silence after which a session of the original API is lost.
        env_aliases: (glob, environment): what callers name so is recorded there.
        samples_kind: Where readings are read back from: ``embedded`` or ``influxdb``.
        influxdb: The InfluxDB that is told of steps; None = none.
        mirror: Where the original's measurements are written as well; None = nowhere.
        grafana: The Grafana that gets native annotations; None = none.
        webhook: Where changed steps are posted; None = nowhere.
        warnings: What is to be told at the start.
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
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    requests_per_s: float = 5000.0
    open_steps: int = 10_000
    always_record: bool = True
    legacy_ttl_s: float = 12 * 3600.0
    env_aliases: tuple[tuple[str, str], ...] = ()
    samples_kind: str = "embedded"
    influxdb: InfluxSettings | None = None
    mirror: InfluxSettings | None = None
    grafana: HttpSinkSettings | None = None
    webhook: HttpSinkSettings | None = None
    warnings: tuple[str, ...] = ()


def load_config(
    *, config: str | None, fleet: str | None, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Config:
    """Return the settings in force.

    Args:
        config: Path of ``annotator.toml``; None looks at ``ENERGY_ANNOTATOR_CONFIG``, then the usual place.
        fleet: Path of a fleet file to run the collector on instead of the file's plugins; None looks at
            ``ENERGY_FLEET`` and the usual place if there is no settings file either, and readings come
            from nowhere else.
        environ: Environment variables.
        flags: ``host`` and ``port`` as given on the command line; None = not given.

    Raises:
        ConfigError: A mistake in the file, a variable or a flag; or neither file is there.
    """
    path = _settings_file(config, fleet, environ)
    tables = {} if path is None else load_toml(path)
    where = "settings" if path is None else str(path)
    _refuse_unknown(tables, where)
    values = {
        name: read_table(tables.get(name, {}), settings, where=f"{where}: [{name}]")
        for name, settings in TABLES.items()
    }
    named = set(tables) | take_variables(TABLES, values, environ)
    listen, embedded = values["listen"], values["embedded"]
    listen.update({name: value for name, value in flags.items() if value is not None})
    commands = embedded["commands"]
    if fleet is not None or (path is None and values["samples"]["kind"] == "embedded"):
        commands = (collector_command(_fleet_file(fleet, environ)),)
    more = {**_listening(listen, where, environ), **_sinks(values, named, where, environ)}
    influxdb = _influx(values, named, where, environ)
    return Config(
        source=path,
        store=_path(values["store"]["path"]),
        prefer=tuple(values["samples"]["prefer"]),
        commands=tuple(commands),
        interval_s=embedded["interval"],
        retention_s=embedded["retention"],
        always_record=values["legacy"]["always_record"],
        legacy_ttl_s=values["legacy"]["ttl"],
        env_aliases=_aliases(tables.get(ENV_ALIASES, {}), where=f"{where}: [{ENV_ALIASES}]"),
        samples_kind=values["samples"]["kind"],
        influxdb=influxdb,
        mirror=_mirror(values["legacy"]["mirror_database"], influxdb, where),
        warnings=unknown_variables(TABLES, values, environ),
        **more,
    )


def is_configured(environ: Mapping[str, str]) -> bool:
    """Return whether a variable, or the usual file if it may be read, says how the annotator is to run."""
    return os.access(DEFAULT_FILE, os.R_OK) or any(name.startswith(PREFIX) for name in environ)


def _sinks(
    values: Mapping[str, Any], named: set[str], where: str, environ: Mapping[str, str]
) -> dict[str, Any]:
    return {
        name: http_sink_settings(values[name], where=f"{where}: [{name}]", environ=environ)
        for name in ("grafana", "webhook")
        if name in named
    }


def _influx(
    values: Mapping[str, Any], named: set[str], where: str, environ: Mapping[str, str]
) -> InfluxSettings | None:
    if "influxdb" not in named:
        if values["samples"]["kind"] == "influxdb":
            raise ConfigError(
                f"{where}: [samples] kind is 'influxdb', so a table [influxdb] must say where that is"
            )
        return None
    return influx_settings(values["influxdb"], where=f"{where}: [influxdb]", environ=environ)


def _mirror(database: str | None, influxdb: InfluxSettings | None, where: str) -> InfluxSettings | None:
    if database is None:
        return None
    if influxdb is None:
        raise ConfigError(
            f"{where}: [legacy] mirror_database is {database!r}, so a table [influxdb] must say where that is"
        )
    bucket = None if influxdb.bucket is None else database
    return replace(influxdb, database=database, bucket=bucket)


def _refuse_unknown(tables: Mapping[str, Any], where: str) -> None:
    for name in tables:
        if name not in TABLES and name != ENV_ALIASES:
            raise ConfigError(
                f"{where}: unknown table {name!r}; allowed: {', '.join((*TABLES, ENV_ALIASES))}"
            )


def _listening(listen: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> dict[str, Any]:
    token = listen["token"]
    return {
        "host": listen["host"],
        "port": listen["port"],
        "token": None if token is None else resolve(token, where=f"{where}: [listen] token", environ=environ),
        "tls_certificate": _path(listen["tls_certificate"]),
        "tls_key": _path(listen["tls_key"]),
        "requests_per_s": listen["requests_per_s"],
        "open_steps": listen["open_steps"],
    }


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _aliases(table: object, *, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: must be a table, not {table!r}")
    for pattern, env in table.items():
        if not isinstance(env, str) or not env:
            raise ConfigError(f"{where}: key {pattern!r} is {env!r}; allowed: the name of an environment")
    return tuple(table.items())


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
    named = config or environ.get(CONFIG)
    if named:
        return Path(named)
    return DEFAULT_FILE if fleet is None and DEFAULT_FILE.exists() else None


def _fleet_file(fleet: str | None, environ: Mapping[str, str]) -> Path:
    named = fleet or environ.get("ENERGY_FLEET")
    path = Path(named) if named else DEFAULT_FLEET
    if not path.is_file():
        if named:
            raise ConfigError(f"there is no fleet file {named!r}")
        raise ConfigError(
            f"neither {DEFAULT_FILE} nor {DEFAULT_FLEET} is there; give --config FILE or --fleet FILE"
        )
    return path.resolve()


def collector_command(fleet: Path) -> tuple[str, ...]:
    """Return the command that polls a fleet: the collector installed with us, else the one in the path.

    Raises:
        ConfigError: It is not installed.
    """
    beside = Path(sys.argv[0]).resolve().parent / "energy-execd"
    in_prefix = Path(sys.prefix) / "bin" / "energy-execd"
    for program in (beside, in_prefix):
        if os.access(program, os.X_OK):
            return (str(program), "run", "--fleet", str(fleet))
    found = shutil.which("energy-execd")
    if found is None:
        raise ConfigError("the collector energy-execd is not installed; pip install 'energyrecorder[execd]'")
    return (found, "run", "--fleet", str(fleet))
