"""The tables ``[grafana]`` and ``[webhook]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret, resolve
from energyrecorder.settings import Setting
from energyrecorder_annotator.influx.settings import http_url

GRAFANA = (
    Setting(
        "mode",
        "str",
        "native annotations: none, one per scenario, or one per step and mark too",
        default="scenario",
        choices=("off", "scenario", "all"),
    ),
    Setting("url", "str", "Grafana server", default="http://127.0.0.1:3000", check=http_url),
    Setting("token", "str", "service account token with the Editor role; {env=NAME} or {file=PATH}"),
    Setting("timeout", "duration", "longest wait for an answer", default=10.0, minimum=0.1),
    Setting("retry_most", "duration", "longest pause between tries while away", default=60.0, minimum=0.1),
)
"""Keys of ``[grafana]``."""

WEBHOOK = (
    Setting("url", "str", "where each changed step is posted as JSON; absent = nowhere", check=http_url),
    Setting("token", "str", "bearer token to send; {env=NAME} or {file=PATH}"),
    Setting("timeout", "duration", "longest wait for an answer", default=10.0, minimum=0.1),
    Setting("retry_most", "duration", "longest pause between tries while away", default=60.0, minimum=0.1),
)
"""Keys of ``[webhook]``."""


@dataclass(frozen=True, slots=True)
class HttpSinkSettings:
    """A sink behind one URL.

    Args:
        url: Base URL.
        token: Bearer token; None without.
        timeout_s: Longest wait for an answer.
        retry_most_s: Longest pause between tries while it is away.
        mode: Of Grafana: ``scenario`` or ``all``.
    """

    url: str
    token: Secret | None
    timeout_s: float = 10.0
    retry_most_s: float = 60.0
    mode: str = "all"


def http_sink_settings(
    values: Mapping[str, Any], *, where: str, environ: Mapping[str, str]
) -> HttpSinkSettings | None:
    """Return the settings out of the checked values of ``[grafana]`` or ``[webhook]``; None when it is off.

    Raises:
        ConfigError: The token cannot be had, or Grafana has none.
    """
    mode = values.get("mode", "all")
    if mode == "off" or values["url"] is None:
        return None
    if values["token"] is None and "mode" in values:
        raise ConfigError(f"{where}: missing key 'token': Grafana lets nobody else write annotations")
    token = values["token"]
    return HttpSinkSettings(
        url=values["url"],
        token=None if token is None else resolve(token, where=f"{where} token", environ=environ),
        timeout_s=values["timeout"],
        retry_most_s=values["retry_most"],
        mode=mode,
    )
