"""Resources with the averages that a BMC kept: a ring of records that moves, in the shape of its maker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder_bmcsim.live import LiveBmc, Record, View
from energyrecorder_bmcsim.payload import Payload
from energyrecorder_bmcsim.redfish.resources import Renderable


def no_summary(_records: Sequence[Record]) -> Mapping[str, Any]:
    """Return nothing: for a resource that shows its records alone."""
    return {}


@dataclass(frozen=True, slots=True)
class Ring:
    """What a BMC keeps, and how it shows that.

    Args:
        period_s: Length of a record's window, seconds.
        count: Records that it holds.
        name: Of the list of records in the resource.
        shown: Returns the fields of a record; given it and the BMC's clock at its end, nanoseconds since the
            Unix epoch.
        newest_first: Whether the list begins with its newest record.
        summary: Returns the fields beside the list; given all records, oldest first.
    """

    period_s: int
    count: int
    name: str
    shown: Callable[[Record, int], Mapping[str, Any]]
    newest_first: bool = False
    summary: Callable[[Sequence[Record]], Mapping[str, Any]] = no_summary


class RingResource:
    """One such resource; rendered anew when a record was added.

    Args:
        tree: The captured body; its first record gives the fields that do not live.
        ring: What it keeps.
        live: Where the records come from.
    """

    def __init__(self, tree: Mapping[str, Any], ring: Ring, live: LiveBmc) -> None:
        self._tree = dict(tree)
        captured = tree.get(ring.name)
        self._fields = dict(captured[0]) if isinstance(captured, list) and captured else {}
        self._ring = ring
        self._live = live
        self._key: tuple[object, ...] = ()
        self._body = b""

    def render(self, view: View) -> bytes:
        """Return the body for what the BMC goes by now."""
        records = self._live.records(view.read_ns, self._ring.period_s, self._ring.count)
        newest_ns = records[-1].end_ns
        key = (newest_ns, self._live.clock_ns(newest_ns), self._live.zeroed(newest_ns), view.masked)
        if key != self._key:
            body = self._tree | self._lives(records)
            if view.masked == "null":
                body |= dict.fromkeys(self._lives(records))
            self._body = json.dumps(body, separators=(",", ":")).encode()
            self._key = key
        return self._body

    def _lives(self, records: Sequence[Record]) -> dict[str, Any]:
        seen = [
            replace(one, average_w=0.0, peak_w=0.0, least_w=0.0) if self._live.zeroed(one.end_ns) else one
            for one in records
        ]
        items = [{**self._fields, **self._ring.shown(one, self._live.clock_ns(one.end_ns))} for one in seen]
        ordered = items[::-1] if self._ring.newest_first else items
        return {**self._ring.summary(seen), self._ring.name: ordered}


def ring_resources(payload: Payload, rings: Mapping[str, Ring], live: LiveBmc) -> dict[str, Renderable]:
    """Return a moving resource for each one of the payload that keeps records, by path.

    Args:
        payload: What was captured.
        rings: End of the path → what is kept there.
        live: Where the records come from.
    """
    return {
        path: RingResource(payload.tree(path), ring, live)
        for path in payload.bodies
        for end, ring in rings.items()
        if path.endswith(end) and isinstance(payload.tree(path), dict)
    }
