"""Remembers which source of power works on a BMC and which it lacks, so that no poll asks in vain."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.ipmi.sources import Source

LACKING_RETRY_NS = 24 * 3600 * 10**9
"""What a BMC lacks is asked for again after a day, or when BMC, firmware or settings changed."""

BARREN_RETRY_NS = 600 * 10**9
"""What had no value for a while, or is the last resort, is asked for again after ten minutes."""

PATIENCE = 3
"""Polls in a row in which a source fails before another takes its place, or it is left out."""

_LACKING = frozenset({"unsupported", "privilege"})


class Ladder:
    """The sources of one BMC in the order in which a poll asks them.

    A better source comes first unless it is left out. The one that worked is given time when it refuses:
    DCMI and a sensor of one server may differ by 10 W (PowerEdge R750, ipmi_exporter issue 242), so jumping
    between them would show steps that the server does not make.

    Args:
        sources: Best first.
        facts: What is remembered; ``identity``, ``source`` and ``absent`` are kept here.
        clock: Wall clock.
    """

    def __init__(self, sources: Sequence[Source], facts: MutableMapping[str, Any], clock: Clock) -> None:
        self._sources = sources
        self._facts = facts
        self._clock = clock
        self._refusals: dict[str, int] = {}
        self._passed_over: dict[str, int] = {}

    def identify(self, identity: str) -> None:
        """Forget everything if this is another BMC, firmware or setting than remembered."""
        if self._facts.get("identity") != identity:
            self._facts["identity"] = identity
            self._facts.pop("source", None)
            self._facts.pop("absent", None)

    def order(self) -> list[Source]:
        """Return the sources to ask in this poll."""
        absent = self._absent()
        return [source for source in self._sources if source.name not in absent]

    def known_problems(self) -> list[BmcError]:
        """Return why the sources that are not asked are left out."""
        return [BmcError(told["why"], reason=told["reason"]) for told in self._absent().values()]

    def worked(self, source: Source) -> None:
        """Remember that this source is the power of this server, and who had to be passed over for it."""
        self._facts["source"] = source.name
        self._refusals.pop(source.name, None)
        self._passed_over.pop(source.name, None)
        for better in self.order():
            if better.name == source.name:
                return
            count = self._passed_over[better.name] = self._passed_over.get(better.name, 0) + 1
            if count >= PATIENCE:
                self._leave_out(better, "no_reading", f"{better.name}: no value in {count} polls")

    def refused(self, source: Source, error: BmcError) -> bool:
        """Note a refusal, and tell whether the next source may stand in for this one.

        Args:
            source: The source.
            error: What it was refused with.
        """
        if self._facts.get("source") == source.name:
            count = self._refusals[source.name] = self._refusals.get(source.name, 0) + 1
            if count < PATIENCE:
                return False
            del self._facts["source"]
        if error.reason in _LACKING:
            self._leave_out(source, error.reason, str(error))
        return True

    def _leave_out(self, source: Source, reason: str, why: str) -> None:
        if not isinstance(self._facts.get("absent"), dict):
            self._facts["absent"] = {}
        self._facts["absent"][source.name] = {"since_ns": self._clock(), "reason": reason, "why": why}
        self._refusals.pop(source.name, None)
        self._passed_over.pop(source.name, None)

    def _absent(self) -> dict[str, Mapping[str, Any]]:
        """Return what is left out now; a damaged memory leaves nothing out."""
        kept = self._facts.get("absent")
        return (
            {name: told for name, told in kept.items() if self._holds(told)} if isinstance(kept, dict) else {}
        )

    def _holds(self, told: object) -> bool:
        match told:
            case {"since_ns": int(since_ns), "reason": str(reason), "why": str()}:
                lacking = reason in _LACKING and "source" in self._facts
                age_ns = self._clock() - since_ns
                return 0 <= age_ns < (LACKING_RETRY_NS if lacking else BARREN_RETRY_NS)
        return False
