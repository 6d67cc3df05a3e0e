"""What the collector itself learns of one BMC, whatever the protocol: nodes, refresh period, description."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from energyrecorder_execd.emit import node_name
from energyrecorder_execd.readers.base import Poll, ServerInfo

INFO_EVERY_S = 3600.0


class Findings:
    """Part of a BMC's facts, under ``collector``.

    Args:
        facts: All facts of the BMC.
    """

    def __init__(self, facts: MutableMapping[str, Any]) -> None:
        own = facts.setdefault("collector", {})
        if not isinstance(own, dict):
            own = facts["collector"] = {}
        self._own: MutableMapping[str, Any] = own
        self._info: ServerInfo | None = None
        self._info_due_s = float("-inf")

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes that this BMC was seen to have; kept for ever, as no series may change its name."""
        stored = self._own.get("nodes", ())
        return tuple(stored) if isinstance(stored, (list, tuple)) else ()

    @property
    def refresh_s(self) -> float | None:
        """Period at which the BMC renews its total; None unknown."""
        value = self._own.get("refresh_s")
        return float(value) if isinstance(value, (int, float)) else None

    def learn(self, poll: Poll) -> None:
        """Take over what a poll shows."""
        seen = {node_name(node) for node in poll.host if node is not None}
        seen.update(node_name(reading.node) for reading in poll.readings if reading.node is not None)
        if not seen <= set(self.nodes):
            self._own["nodes"] = sorted(seen | set(self.nodes))
        if poll.message and not poll.error:
            # What stood in for a poll or two does not set the pace.
            return
        for reading in poll.readings:
            if reading.scope == "server" and reading.part is None and reading.refresh_s is not None:
                self._own["refresh_s"] = float(reading.refresh_s)
                break

    def info_to_write(self, poll: Poll, now_s: float) -> ServerInfo | None:
        """Return what is known of the server if it is to be written now: first, changed, or an hour old."""
        changed = poll.info is not None and _lasting(poll.info) != _lasting(self._info)
        self._info = poll.info or self._info
        if self._info is None or not (changed or now_s >= self._info_due_s):
            return None
        self._info_due_s = now_s + INFO_EVERY_S
        return self._info


def _lasting(info: ServerInfo | None) -> ServerInfo | None:
    # The inlet temperature moves all the time; it is no change of the server.
    return None if info is None else replace(info, inlet_c=None)
