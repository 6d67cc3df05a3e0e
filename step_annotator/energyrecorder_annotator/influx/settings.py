"""The table ``[influxdb]``: where the server is, which of its write interfaces it has, and who we are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret, resolve
from energyrecorder.settings import Setting


def http_url(value: str) -> str:
    """Return a base URL without its trailing slash.

    Raises:
        ValueError: It is not an ``http`` or ``https`` URL with a host, or holds a password.
    """
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.password is None
        usable = usable and parts.port != 0  # one beyond 65535 is a ValueError
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("an http:// or https:// URL, its port from 1 to 65535, without a password in it")
    return value.rstrip("/")


SETTINGS = (
    Setting("url", "str", "InfluxDB server", default="http://127.0.0.1:8086", check=http_url),
    Setting("database", "str", "database (1.x), or the one mapped to the bucket", default="energyrecorder"),
    Setting("user", "str", "user (1.x)"),
    Setting("password", "str", "password of that user; {env=NAME} or {file=PATH}"),
    Setting("bucket", "str", "bucket (2.x and 3.x): switches to their write interface"),
    Setting("org", "str", "organisation (2.x)", default=""),
    Setting("token", "str", "token (2.x and 3.x); {env=NAME} or {file=PATH}"),
    Setting("raw_retention_policy", "str", "retention policy that holds server_power", default="autogen"),
    Setting("timeout", "duration", "longest wait for an answer", default=10.0, minimum=0.1),
    Setting("retry_most", "duration", "longest pause between tries while away", default=60.0, minimum=0.1),
)
"""Keys of ``[influxdb]``."""

FALLBACKS: Mapping[str, str] = {
    "ENERGY_INFLUX_URL": "url",
    "ENERGY_INFLUX_DB": "database",
    "ENERGY_INFLUX_USER": "user",
    "ENERGY_INFLUX_PASSWORD": "password",
    "ENERGY_INFLUX_TOKEN": "token",
    "ENERGY_INFLUX_ORG": "org",
}
"""Variables that Telegraf's configuration reads too, and the keys they stand for."""


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """One InfluxDB.

    Args:
        url: Base URL.
        database: For InfluxQL, and for writing to 1.x.
        user: None without authentication.
        password: None without authentication.
        bucket: Not None: write by ``/api/v2/write``, as 2.x and 3.x want it.
        org: Organisation of the bucket.
        token: None without authentication.
        raw_retention_policy: Where ``server_power`` lives.
        timeout_s: Longest wait for an answer.
        retry_most_s: Longest pause between tries while it is away.
    """

    url: str
    database: str
    user: str | None = None
    password: Secret | None = None
    bucket: str | None = None
    org: str = ""
    token: Secret | None = None
    raw_retention_policy: str = "autogen"
    timeout_s: float = 10.0
    retry_most_s: float = 60.0


def influx_settings(values: Mapping[str, Any], *, where: str, environ: Mapping[str, str]) -> InfluxSettings:
    """Return the settings out of the checked values of the table.

    Args:
        values: As `energyrecorder.settings.read_table` gives them.
        where: File and table, for messages.
        environ: Environment variables, for secrets.

    Raises:
        ConfigError: A secret cannot be had, or keys contradict each other.
    """
    if values["token"] is not None and values["user"] is not None:
        raise ConfigError(f"{where}: has both 'user' and 'token'; allowed: one of them")
    secrets = {
        name: None
        if values[name] is None
        else resolve(values[name], where=f"{where} {name}", environ=environ)
        for name in ("password", "token")
    }
    return InfluxSettings(
        url=values["url"],
        database=values["database"],
        user=values["user"],
        bucket=values["bucket"],
        org=values["org"],
        raw_retention_policy=values["raw_retention_policy"],
        timeout_s=values["timeout"],
        retry_most_s=values["retry_most"],
        **secrets,
    )
