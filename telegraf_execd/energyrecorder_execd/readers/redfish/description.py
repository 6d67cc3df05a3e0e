"""What is told of one server besides its power: it goes with the poll that learned something new."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from energyrecorder_execd.readers.base import ServerInfo
from energyrecorder_execd.readers.facts import remember_info, remembered_info
from energyrecorder_execd.readers.redfish.parse import Candidate, parse_extras

_NAMES = ("vendor", "model", "bmc_fw", "bios")


class Description:
    """What is known of one server.

    Args:
        facts: Where it is remembered.
    """

    def __init__(self, facts: MutableMapping[str, Any]) -> None:
        self._facts = facts
        self._known = remembered_info(facts)
        self._news = self._known

    def news(self) -> ServerInfo | None:
        """Return what is known if something was learned since the last call, else None."""
        news, self._news = self._news, None
        return news

    def walked(self, info: ServerInfo) -> None:
        """Take over what a walk found; it sees no temperatures, and of a BMC that boots no names."""
        known = self._known or ServerInfo()
        kept = {name: getattr(info, name) or getattr(known, name) for name in _NAMES}
        self._tell(replace(info, inlet_c=known.inlet_c, **kept))

    def timed(self, value: Candidate, told_by: str) -> None:
        """Take over the period of the total, and who told it: ``declared``, ``learned`` or ``vendor``."""
        if value.watts is not None and value.refresh_s is not None:
            self._change(refresh_s=value.refresh_s, refresh_from=told_by)
            if value.window_s is not None:
                self._change(window_s=value.window_s)

    def total(self, document: Any) -> None:
        """Take over power cap and supplies of the total's resource, which was read anyway."""
        told = parse_extras(document)
        if told.cap_w is not None:
            self._change(power_cap_w=told.cap_w)
        if told.psu_count is not None:
            self._change(psu_count=told.psu_count)
        # Only a walk sees whether the supplies are this computer's own; where it has no rating there is none.
        if (
            self._known is not None
            and self._known.psu_capacity_w is not None
            and told.psu_capacity_w is not None
        ):
            self._change(psu_capacity_w=told.psu_capacity_w)

    def inlet(self, inlet_c: float) -> None:
        """Take over the inlet temperature, °C."""
        self._change(inlet_c=inlet_c)

    def _change(self, **fields: Any) -> None:
        known = self._known
        # In each poll: compared first, as a copy costs more than the rest.
        if known is not None and any(getattr(known, name) != value for name, value in fields.items()):
            self._tell(replace(known, **fields))

    def _tell(self, info: ServerInfo) -> None:
        self._news = self._known = info
        remember_info(self._facts, info)
