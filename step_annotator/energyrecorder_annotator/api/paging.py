"""Cursors of lists: where the page before ended, as text that clients pass back unread."""

from __future__ import annotations

import base64
import binascii

from energyrecorder_annotator.api.errors import ApiError
from energyrecorder_annotator.journal.base import StepWithResult


def read_cursor(cursor: str | None) -> tuple[int, str] | None:
    """Return start and id of the last step of the page before; None for the first page.

    Raises:
        ApiError: It is not a cursor of ours (422).
    """
    if not cursor:
        return None
    try:
        start_ns, step_id = base64.urlsafe_b64decode(cursor.encode()).decode().split(":", 1)
        return int(start_ns), step_id
    except (ValueError, binascii.Error):
        raise ApiError(422, "invalid_request", "cursor: not one that this service gave") from None


def next_cursor(found: list[StepWithResult], limit: int) -> str | None:
    """Return the cursor for the page after ``found``; None when that was the last.

    Args:
        found: What was asked for with one more than ``limit``.
        limit: Page size.
    """
    if len(found) <= limit:
        return None
    last = found[limit - 1][0]
    return base64.urlsafe_b64encode(f"{last.start_ns}:{last.step_id}".encode()).decode()
