"""Tell energyrecorder which step runs, from Python: decorators, context managers, `Energy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from energyrecorder.api import Energy, enable_recording, set_step

__all__ = ["Energy", "enable_recording", "set_step"]


def __getattr__(name: str) -> object:
    """Load the SDK when one of its names is first asked for: collectors import this package too."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from energyrecorder import api

    value: object = getattr(api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
