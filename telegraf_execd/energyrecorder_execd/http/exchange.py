"""One request to a BMC and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from energyrecorder.errors import BmcError


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back for one request, after redirects.

    Args:
        status: HTTP status.
        headers: Of the answer, names in lower case.
        body: Whole body, decompressed.
        sent_ns: When the request left, nanoseconds since the Unix epoch, UTC.
        received_ns: When the body was complete, likewise.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, as those hear it that log or record the traffic of a BMC; without its headers and body.

    Args:
        method: Of the request.
        path: Of the request, with its query.
        outcome: The answer, or why there is none.
    """

    method: str
    path: str
    outcome: RawAnswer | BmcError


Listener = Callable[[Exchange], None]
