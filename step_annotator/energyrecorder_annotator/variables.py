"""Settings from ``ENERGY_ANNOTATOR_*``, and from what Telegraf's configuration is given too."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from energyrecorder.settings import Kind, Setting, nearest, read_value
from energyrecorder_annotator.influx.settings import FALLBACKS
from energyrecorder_annotator.influx.settings import SETTINGS as INFLUXDB

PREFIX = "ENERGY_ANNOTATOR_"
CONFIG = f"{PREFIX}CONFIG"
Tables = Mapping[str, tuple[Setting, ...]]


def take_variables(tables: Tables, values: dict[str, dict[str, Any]], environ: Mapping[str, str]) -> set[str]:
    """Lay the environment over ``values`` and return the tables that it names.

    Raises:
        ConfigError: A variable holds something that is not allowed.
    """
    named = _take_influx_fallbacks(values["influxdb"], environ)
    for name, (table, setting) in _by_name(tables).items():
        if environ.get(name):
            where = f"environment variable {name}"
            values[table][setting.name] = read_value(
                _as_toml(environ[name], setting.kind), setting, where=where
            )
            named.add(table)
    return named


def unknown_variables(
    tables: Tables, values: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """Return a warning for each variable that looks like ours and sets nothing.

    No error: an environment file may be shared with another version, and Kubernetes makes such variables
    for a service called ``energy-annotator``.

    Args:
        tables: Every table of settings.
        values: Those in force; a variable that one refers to by ``{env=NAME}`` has its use.
        environ: Environment variables.
    """
    known = _by_name(tables)
    referred = {value for table in values.values() for value in table.values() if isinstance(value, str)}
    # By the table's name, too: [listen] has none in its variables, which is easily overlooked.
    meant = {f"{table}_{setting.name}".upper(): name for name, (table, setting) in known.items()}
    meant |= {name.removeprefix(PREFIX): name for name in (*known, CONFIG)}
    return tuple(
        f"environment variable {name} is no setting and has no effect{_hint(name, meant)}"
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and environ[name]
        and name not in known
        and name != CONFIG
        and f"{{env={name}}}" not in referred
    )


def _hint(name: str, meant: Mapping[str, str]) -> str:
    close = nearest(name.removeprefix(PREFIX), meant)
    return "" if close is None else f" (did you mean {meant[close]!r}?)"


def _by_name(tables: Tables) -> dict[str, tuple[str, Setting]]:
    """Return table and setting by the name of the variable; lists have none."""
    return {
        f"{PREFIX}{'' if table == 'listen' else f'{table.upper()}_'}{setting.name.upper()}": (table, setting)
        for table, settings in tables.items()
        for setting in settings
        if not setting.kind.startswith("list")
    }


def _as_toml(text: str, kind: Kind) -> object:
    """Return what the file would have held; text that is no such value stays text, and is refused as that."""
    if kind == "int" and text.isdecimal():
        return int(text)
    if kind == "bool" and text in {"true", "false"}:
        return text == "true"
    if kind == "float":
        with contextlib.suppress(ValueError):
            return float(text)
    return text


def _take_influx_fallbacks(values: dict[str, Any], environ: Mapping[str, str]) -> set[str]:
    """Take what Telegraf's configuration is given too, where the file says nothing of its own."""
    defaults = {setting.name: setting for setting in INFLUXDB}
    for name, key in FALLBACKS.items():
        setting = defaults[key]
        if environ.get(name) and values[key] == setting.default:
            values[key] = read_value(environ[name], setting, where=f"environment variable {name}")
    return {"influxdb"} if environ.get("ENERGY_INFLUX_URL") else set()
