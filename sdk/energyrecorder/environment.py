"""What a process inherits by environment variables: whether to record at all, and the step it is part of."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Optional

_FALSE = ("", "0", "false", "no", "off")


class Inherited(NamedTuple):
    """The step of the process that started this one.

    Args:
        run_id: Run it belongs to.
        step_id: The step: parent of what this process records.
        scenario: Its scenario; None means unknown.
    """

    run_id: str
    step_id: str
    scenario: Optional[str]


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Tell whether ``ENERGY_DISABLED`` asks to record nothing."""
    return environ.get("ENERGY_DISABLED", "").strip().lower() not in _FALSE


def inherited(environ: Mapping[str, str]) -> Optional[Inherited]:
    """Return the step that ``ENERGY_STEP_ID`` and ``ENERGY_RUN_ID`` name; None when they are empty."""
    step_id = environ.get("ENERGY_STEP_ID") or environ.get("ENERGY_RUN_ID")
    if not step_id:
        return None
    run_id = environ.get("ENERGY_RUN_ID") or step_id
    return Inherited(run_id, step_id, environ.get("ENERGY_SCENARIO") or None)
