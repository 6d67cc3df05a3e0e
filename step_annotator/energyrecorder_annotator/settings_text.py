"""The settings in force as text, by the names they have in the file, secrets masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from energyrecorder.secret import MASK, Secret
from energyrecorder_annotator.config import Config
from energyrecorder_annotator.influx.settings import InfluxSettings
from energyrecorder_annotator.sinks.settings import HttpSinkSettings

KEYS: Mapping[str, str] = {
    "host": "[listen] host",
    "port": "[listen] port",
    "token": "[listen] token",
    "tls_certificate": "[listen] tls_certificate",
    "tls_key": "[listen] tls_key",
    "requests_per_s": "[listen] requests_per_s",
    "open_steps": "[listen] open_steps",
    "store": "[store] path",
    "samples_kind": "[samples] kind",
    "prefer": "[samples] prefer",
    "commands": "[embedded] commands",
    "interval_s": "[embedded] interval",
    "retention_s": "[embedded] retention",
    "influxdb": "[influxdb]",
    "grafana": "[grafana]",
    "webhook": "[webhook]",
    "always_record": "[legacy] always_record",
    "legacy_ttl_s": "[legacy] ttl",
    "mirror": "[legacy] mirror_database",
    "env_aliases": "[env_aliases]",
}
"""Field of `Config` → table and key, as a person wrote them."""


def settings_text(config: Config) -> str:
    """Return one line ``[table] key = value`` per setting."""
    source = "no file" if config.source is None else str(config.source)
    return "".join(f"{line}\n" for line in (f"# {source}", *_lines(config)))


def _lines(config: Config) -> Iterator[str]:
    for name, key in KEYS.items():
        value = getattr(config, name)
        if name == "mirror" and value is not None:
            value = value.database
        if isinstance(value, (InfluxSettings, HttpSinkSettings)):
            for field in fields(value):
                yield f"{key} {_plain(field.name)} = {_shown(field.name, getattr(value, field.name))}"
        else:
            yield f"{key} = {_shown(name, value)}"


def _plain(name: str) -> str:
    return name.removesuffix("_s")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, Secret):
        return MASK
    if name.endswith("_s") and name != "requests_per_s":
        return f"{value:.10g}s"
    return json.dumps(value, default=str, ensure_ascii=False)
