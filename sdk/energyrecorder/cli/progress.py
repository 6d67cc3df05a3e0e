"""Waits for results, with one line that shows that something is going on, on a terminal only."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, TextIO

Answer = Dict[str, Any]
_LOOK_S = 1.0


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


def answer_with_results(
    asked: Callable[[], Answer], missing: Callable[[Answer], str], wait_s: float
) -> Answer:
    """Return an answer once nothing is missing in it, else the last one after ``wait_s`` seconds.

    Args:
        asked: Asks the annotator.
        missing: Returns what still has no result, such as ``3 of 7 steps``; empty when all have one.
        wait_s: How long to ask again; 0 asks once.
    """
    begun_s = time.monotonic()
    with Progress(sys.stderr) as progress:
        while True:
            answer = asked()
            waited_s = time.monotonic() - begun_s
            without = missing(answer)
            if not without or waited_s >= wait_s:
                return answer
            progress.show(f"waiting for results of {without} ({waited_s:.0f} s)")
            time.sleep(min(_LOOK_S, wait_s - waited_s))
