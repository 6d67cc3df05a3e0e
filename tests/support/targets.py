"""What a fleet file would say of a server of ours on loopback."""

from __future__ import annotations

from typing import Any

from energyrecorder.secret import Secret
from energyrecorder_execd.readers.base import Target


def target_of(**changes: Any) -> Target:
    """Return the fleet file's view of the server at the port that is given."""
    values = {
        "server": "b",
        "address": "127.0.0.1",
        "scheme": "http",
        "user": "monitor",
        "password": Secret("s3cret-of-the-bmc"),
    }
    return Target(**{**values, **changes})
