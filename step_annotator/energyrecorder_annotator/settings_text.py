"""The settings in force as text, secrets masked."""

from __future__ import annotations

import json
from dataclasses import fields

from energyrecorder.secret import MASK
from energyrecorder_annotator.config import Config


def settings_text(config: Config) -> str:
    """Return one line ``name = value`` per setting."""
    lines = []
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name == "token":
            shown = "none" if value is None else MASK
        elif value is None or isinstance(value, (str, int, float)):
            shown = "default" if value is None else json.dumps(value, ensure_ascii=False)
        else:
            shown = json.dumps(value, default=str, ensure_ascii=False)
        lines.append(f"{field.name} = {shown}\n")
    return "".join(lines)
