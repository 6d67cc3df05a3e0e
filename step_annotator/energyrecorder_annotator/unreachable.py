"""Says why a peer cannot be reached, whichever library found out."""

from __future__ import annotations

from energyrecorder.errors import unreachable_text


def why(error: BaseException) -> str:
    """Return in plain words why; libraries wrap what the system said, so that it is the innermost cause."""
    while error.__context__ is not None:
        error = error.__context__
    return unreachable_text(error)
