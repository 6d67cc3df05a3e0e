"""Read a fleet file and what it includes; every mistake is one line naming file, table and key."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from energyrecorder import schema, secret
from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret
from energyrecorder.settings import Setting, load_toml, read_table
from energyrecorder_execd.fleet import tables
from energyrecorder_execd.fleet.hosts import Host, parse_host
from energyrecorder_execd.fleet.model import Fleet, Server
from energyrecorder_execd.fleet.ranges import ALLOWED as RANGES_ALLOWED
from energyrecorder_execd.fleet.ranges import expand
from energyrecorder_execd.readers.base import Target

_MAX_ID = 64


@dataclass(slots=True)
class _Account:
    """A ``[credentials.…]`` table; its secret is resolved when a server uses it."""

    user: str
    password: str
    path: Path
    where: str
    resolved: Secret | None = None


@dataclass(slots=True)
class _Loading:
    """What the tables read so far add up to."""

    accounts: dict[str, _Account] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def load_fleet(path: Path) -> Fleet:
    """Return the fleet that the file at ``path`` describes, ranges expanded and secrets resolved.

    Secrets are resolved for the accounts that an enabled server uses.

    Raises:
        ConfigError: Anything in the file or in an included one is not allowed.
    """
    loading = _Loading()
    main = _read_file(path, tables.FILE, loading)
    included = [
        (file, _read_file(file, tables.INCLUDED_FILE, loading))
        for file in _included(path, main["include"], loading)
    ]
    parts = [(path, main), *included]
    for file, part in parts:
        for name, raw in part["credentials"].items():
            _add_account(loading, file, name, raw)
    for file, part in parts:
        defaults = _defaults(file, part["defaults"])
        if file is not path:
            defaults = _merge(_defaults(path, main["defaults"]), defaults)
        for number, raw in enumerate(part["server"], start=1):
            _add_servers(loading, file, number, _merge(defaults, raw))
    return Fleet(
        servers=tuple(loading.servers.values()),
        disabled=tuple(loading.disabled),
        files=tuple(dict.fromkeys(loading.files)),
        warnings=tuple(loading.warnings),
    )


def _read_file(path: Path, settings: Sequence[Setting], loading: _Loading) -> dict[str, Any]:
    loading.files.append(path)
    return read_table(load_toml(path), settings, where=str(path))


def _included(path: Path, patterns: list[str], loading: _Loading) -> list[Path]:
    found: dict[Path, None] = {}
    for pattern in patterns:
        # A folder changes when a file comes or goes.
        loading.files.append((path.parent / pattern).parent)
        matches = sorted(glob.glob(pattern, root_dir=path.parent))  # noqa: PTH207  # patterns may be absolute
        if not matches and not glob.has_magic(pattern):
            raise ConfigError(f"{path}: key 'include' names {pattern!r}, which does not exist")
        found.update(dict.fromkeys(path.parent / match for match in matches))
    return [file for file in found if file.resolve() != path.resolve()]


def _defaults(path: Path, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check ``[defaults]`` where it stands, so that a mistake in it is not blamed on each server."""
    _secret_is_text(raw, "kg", f"{path}: [defaults]")
    read_table(raw, tables.DEFAULTS, where=f"{path}: [defaults]")
    return raw


def _merge(defaults: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **raw}
    tags = raw.get("tags", {})
    if "tags" in defaults and isinstance(tags, Mapping):
        merged["tags"] = {**defaults["tags"], **tags}
    return merged


def _add_account(loading: _Loading, path: Path, name: str, raw: Any) -> None:
    where = f"{path}: [credentials.{name}]"
    if name in loading.accounts:
        raise ConfigError(f"{where}: given twice; the other is in {loading.accounts[name].where}")
    _secret_is_text(raw, "password", where)
    values = read_table(_secret_paths(raw, "password", path), tables.CREDENTIALS, where=where)
    loading.accounts[name] = _Account(values["user"], values["password"], path, where)


def _secret_is_text(raw: Any, key: str, where: str) -> None:
    """Refuse a secret of a wrong type here, as the general message would show its value."""
    if isinstance(raw, Mapping) and not isinstance(raw.get(key, ""), str):
        raise ConfigError(f"{where}: key {key!r} is not a text; allowed: {{env=NAME}} or {{file=PATH}}")


def _secret_paths(raw: Any, key: str, path: Path) -> Any:
    """Return ``raw`` with a relative ``{file=…}`` made relative to the fleet file, wherever we run."""
    text = raw.get(key) if isinstance(raw, Mapping) else None
    if not isinstance(text, str) or not secret.is_reference(text) or not text.startswith("{file="):
        return raw
    target = text.removeprefix("{file=").removesuffix("}")
    if target.startswith(("/", "~")):
        return raw
    return {**raw, key: f"{{file={path.parent / target}}}"}


def _resolve(loading: _Loading, text: str, where: str) -> Secret:
    if text.startswith("{file=") and secret.is_reference(text):
        loading.files.append(Path(text.removeprefix("{file=").removesuffix("}")).expanduser())
    elif not secret.is_reference(text):
        loading.warnings.append(f"{where} is a literal; use {{env=NAME}} or {{file=PATH}}")
    return secret.resolve(text, where=where)


def _account(loading: _Loading, name: str | None, where: str) -> tuple[_Account, Secret]:
    if name is None:
        raise ConfigError(
            f"{where}: missing key 'credentials': the name of a [credentials.…] table, here or in [defaults]"
        )
    account = loading.accounts.get(name)
    if account is None:
        known = ", ".join(repr(one) for one in loading.accounts) or "none is defined"
        raise ConfigError(f"{where}: key 'credentials' is {name!r}; allowed: {known}")
    if account.resolved is None:
        account.resolved = _resolve(loading, account.password, f"{account.where}: key 'password'")
    return account, account.resolved


def _add_servers(loading: _Loading, path: Path, number: int, raw: Mapping[str, Any]) -> None:
    given = raw.get("id")
    where = (
        f"{path}: [[server]] {given!r}" if isinstance(given, str) else f"{path}: [[server]] number {number}"
    )
    _secret_is_text(raw, "kg", where)
    values = read_table(_secret_paths(raw, "kg", path), tables.SERVER, where=where)
    ids = _expand(values["id"], "id", where)
    hosts = _expand(values["host"], "host", where)
    if len(ids) != len(hosts):
        raise ConfigError(
            f"{where}: key 'host' {values['host']!r} stands for {len(hosts)} hosts and 'id' for {len(ids)} "
            "servers; allowed: ranges of equal length"
        )
    for server_id, text in zip(ids, hosts, strict=True):
        _check_id(loading, server_id, where)
        if not values["enabled"]:
            loading.disabled[server_id] = where
            continue
        host = _host(text, values["port"], where)
        loading.servers[server_id] = _server(loading, path, server_id, host, values, where)


def _expand(text: str, key: str, where: str) -> list[str]:
    try:
        names = expand(text)
    except ValueError as error:
        raise ConfigError(f"{where}: key {key!r} is {text!r}; allowed: {error}") from None
    if key == "id" and any("[" in name or "]" in name for name in names):
        raise ConfigError(f"{where}: key 'id' is {text!r}; allowed: {RANGES_ALLOWED}")
    return names


def _check_id(loading: _Loading, server_id: str, where: str) -> None:
    if schema.SERVER_ID.fullmatch(server_id) is None:
        raise ConfigError(
            f"{where}: key 'id' is {server_id!r}; allowed: 1 to {_MAX_ID} characters of A-Z a-z 0-9 . _ : -"
        )
    other = loading.servers.get(server_id)
    first = other.where if other is not None else loading.disabled.get(server_id)
    if first is not None:
        raise ConfigError(f"{where}: key 'id': server {server_id!r} is given twice; the other is in {first}")


def _host(text: str, port: int | None, where: str) -> Host:
    try:
        host = parse_host(text)
    except ValueError as error:
        raise ConfigError(f"{where}: key 'host' is {text!r}; allowed: {error}") from None
    if host.port is not None and port is not None and host.port != port:
        raise ConfigError(
            f"{where}: key 'port' is {port} but 'host' says {host.port}; allowed: one of the two"
        )
    return Host(address=host.address, port=host.port or port, scheme=host.scheme)


def _server(
    loading: _Loading, path: Path, server_id: str, host: Host, values: Mapping[str, Any], where: str
) -> Server:
    account, password = _account(loading, values["credentials"], where)
    options = {key: values[key] for key in tables.READER_OPTIONS if values[key] is not None}
    if "kg" in options:
        options["kg"] = _resolve(loading, options["kg"], f"{where}: key 'kg'")
    target = Target(
        server=server_id,
        address=host.address,
        port=host.port,
        scheme=host.scheme or "https",
        user=account.user,
        password=password,
        tls=_tls(values["tls"], path, where),
        timeout_s=values["timeout"],
        options=options,
    )
    return Server(
        id=server_id,
        env=values["env"],
        protocol=values["protocol"],
        interval_s=None if values["interval"] == "auto" else values["interval"],
        credentials=values["credentials"],
        tags=values["tags"],
        target=target,
        where=where,
        timing=values["timing"],
    )


def _tls(policy: str, path: Path, where: str) -> str:
    if not policy.startswith("ca:"):
        return policy
    file = path.parent / Path(policy.removeprefix("ca:")).expanduser()
    if not file.is_file():
        raise ConfigError(
            f"{where}: key 'tls' names {str(file)!r}, which does not exist; allowed: ca:FILE (PEM)"
        )
    return f"ca:{file}"
