"""An iLO's power meter as a source of Redfish: its newest record, once, with the record's own time.

The reader of iLOs (``protocol = "ilo"``) writes every record of it, also those of an outage; here it is the
last rung, for a BMC that shows its power nowhere else.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from energyrecorder_execd.http import Answer
from energyrecorder_execd.readers.fast_meter import (
    RECORD_S,
    SOURCE,
    PowerRecord,
    clock_offset_s,
    parse_meter,
    record_of_now,
)
from energyrecorder_execd.readers.redfish.parse import Candidate


def newest_record(answer: Answer) -> PowerRecord | None:
    """Return the newest record of a meter; None if it stopped, or if no ``Date`` tells how old it is.

    Raises:
        BmcDataError: This is no meter, or a value is malformed.
    """
    return record_of_now(parse_meter(answer.document, answer.path), answer.date_s)


def as_candidate(record: PowerRecord) -> Candidate:
    """Return the value that a record holds."""
    return Candidate(
        record.watts,
        SOURCE,
        min_w=record.min_w,
        max_w=record.max_w,
        window_s=RECORD_S,
        refresh_s=RECORD_S,
        refresh_from="vendor",
    )


class MeterMemory:
    """What is remembered of the meters of one BMC.

    Args:
        facts: The reader's facts; under ``meter`` the offset of the iLO's clock, and per node the record that
            was written out last.
    """

    def __init__(self, facts: MutableMapping[str, Any]) -> None:
        kept = facts.get("meter")
        self._kept: dict[str, Any] = kept if isinstance(kept, dict) else {}
        facts["meter"] = self._kept

    def ended_ns(self, record: PowerRecord, answer: Answer) -> int:
        """Return when a record of an answer ended by our clock, nanoseconds since the Unix epoch, UTC."""
        kept = self._kept.get("offset_s")
        offset_s = kept if isinstance(kept, int) else None
        if answer.date_s is not None:
            # A Date header shows whole seconds, cut off.
            offset_s = clock_offset_s(offset_s, answer.date_s + 0.5 - answer.middle_ns / 1e9)
            self._kept["offset_s"] = offset_s
        return round((record.time_s - (offset_s or 0)) * 1e9)

    def is_written(self, node: str | None, record: str) -> bool:
        """Whether a record, known by its time as the iLO wrote it, is the last one written out."""
        return self._kept.get(f"last/{node or ''}") == record

    def wrote(self, node: str | None, record: str) -> None:
        """Note the last record written out."""
        self._kept[f"last/{node or ''}"] = record
