"""Writes lines of line protocol in requests of bounded size; what will never be taken holds up nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from energyrecorder_annotator.influx.client import InfluxClient, InfluxRefusedError, NoDatabaseError

CHUNK = 5000
"""Points per write: what InfluxData advises for one request."""

_log = logging.getLogger(__name__)


class LineWriter:
    """Writes into one database.

    Args:
        client: Gives the client of the thread that asks.
        what: What the lines are, for the log.
        retention_policy: Of 1.x; None means the database's default.
    """

    def __init__(
        self, client: Callable[[], InfluxClient], what: str, *, retention_policy: str | None = None
    ) -> None:
        self._client = client
        self._what = what
        self._retention_policy = retention_policy
        self._refusal = ""

    def write(self, lines: Sequence[str]) -> None:
        """Write lines.

        A point that InfluxDB will never take (older than its retention, a field of another type) is told in
        the log and left out: it must not hold up all that come after it.

        Args:
            lines: One point each, without newlines.

        Raises:
            InfluxAwayError: Nothing is taken just now; some may be written.
            NoDatabaseError: There is no bucket, and we may not make one.
        """
        for first in range(0, len(lines), CHUNK):
            self._write(lines[first : first + CHUNK])

    def _write(self, lines: Sequence[str]) -> None:
        client = self._client()
        text = "\n".join(lines)
        try:
            try:
                client.write(text, retention_policy=self._retention_policy)
            except NoDatabaseError:
                client.create_database()
                client.write(text, retention_policy=self._retention_policy)
        except InfluxRefusedError as refusal:
            # "partial write" says that the others of the request are written.
            if len(lines) > 1 and (refusal.too_large or "partial write" not in str(refusal)):
                half = len(lines) // 2
                self._write(lines[:half])
                self._write(lines[half:])
                return
            if str(refusal) != self._refusal:
                _log.error("points of %s are left out: %s", self._what, refusal)
                self._refusal = str(refusal)
