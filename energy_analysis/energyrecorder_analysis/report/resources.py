"""The style sheets and scripts beside these modules."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def resource(name: str) -> str:
    """Return the text of the file ``name`` of this package."""
    return files("energyrecorder_analysis.report").joinpath(name).read_text(encoding="utf-8")
