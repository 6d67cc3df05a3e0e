"""Takes one figure of power out of a resource, in each of the shapes that services give it (pure)."""

from __future__ import annotations

from energyrecorder_execd import quirks
from energyrecorder_execd.readers.json_values import Json, malformed, number
from energyrecorder_execd.readers.redfish.resources import data_source


def plausible_watts(parent: Json, key: str, resource: str) -> float | None:
    """Return the power at ``key``; None when it is missing or not plausible.

    Raises:
        BmcDataError: It is present but no number.
    """
    watts = number(parent, key, resource)
    return watts if watts is not None and quirks.is_plausible(watts) else None


def excerpt(body: Json, key: str, path: str) -> tuple[float | None, str | None]:
    """Return a sensor excerpt's reading, or the sensor to follow (DGX H100 gives only DataSourceUri)."""
    value = body.get(key)
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise malformed(path, key, value)
        return plausible_watts(body, key, path), None
    watts = plausible_watts(value, "Reading", f"{path}: {key}")
    return watts, data_source(value) if watts is None else None
