"""What SIGHUP does: reads the settings again; a bad file keeps those in force."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.config import Config, check_exposure
from energyrecorder_annotator.service import Service
from energyrecorder_annotator.settings_text import KEYS

AT_ONCE = (
    "token",
    "retention_s",
    "requests_per_s",
    "open_steps",
    "always_record",
    "legacy_ttl_s",
    "env_aliases",
)
"""Fields of `Config` that act without a restart; tokens of the token file always do."""

NEED_RESTART = {name: key for name, key in KEYS.items() if name not in AT_ONCE}
"""The others, and what they are called in the file."""

_log = logging.getLogger(__name__)


def reload_settings(service: Service, read: Callable[[], Config], *, insecure: bool) -> None:
    """Read the settings again and take over those that can change while the service runs.

    Args:
        service: Running.
        read: Reads them as at the start.
        insecure: Whether the service may listen beyond this machine without a token.
    """
    try:
        wanted = read()
        if service.guard.has_no_tokens:
            check_exposure(wanted, insecure=insecure)
    except EnergyError as error:
        _log.error("%s; the settings in force stay", error)
        return
    before = service.config
    waiting = [key for name, key in NEED_RESTART.items() if getattr(wanted, name) != getattr(before, name)]
    changed: dict[str, Any] = {name: getattr(wanted, name) for name in AT_ONCE}
    service.config = replace(before, **changed)
    service.guard.change(wanted.token, wanted.requests_per_s)
    service.recorder.change(wanted.env_aliases, wanted.open_steps)
    _log.info("settings are read again")
    if waiting:
        _log.warning("changed, but only after a restart: %s", ", ".join(waiting))
