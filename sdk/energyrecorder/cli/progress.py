"""One line that shows that something is going on, on a terminal only."""

from __future__ import annotations

import time
from typing import TextIO


class Progress:
    """Shows a line that is replaced by the next one and gone at the end.

    Args:
        stream: Where to; nothing is shown unless it is a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = False

    def __enter__(self) -> Progress:  # noqa: PYI034  # typing.Self is of 3.11
        """Begin."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            self._shown = True

    def pause(self, pause_s: float) -> None:
        """Wait between two looks."""
        time.sleep(max(0.0, pause_s))
