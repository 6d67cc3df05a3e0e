"""Standard input as Telegraf uses it: a newline asks for a gather, its end asks us to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_CHUNK = 65536


class StdinWatch:
    """Calls back on what arrives at descriptor 0; newlines that queued up count as one.

    Args:
        on_newline: Called when at least one newline came.
        on_end: Called once when the input has ended.
        descriptor: To read from.
    """

    def __init__(
        self, on_newline: Callable[[], None], on_end: Callable[[], None], descriptor: int = 0
    ) -> None:
        self._on_newline = on_newline
        self._on_end = on_end
        self._descriptor = descriptor
        self._watching = False

    def start(self) -> None:
        """Begin to watch."""
        try:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        except OSError:
            # A file or /dev/null: it cannot be waited for, and it never blocks.
            while self._read():
                pass
        else:
            self._watching = True

    def stop(self) -> None:
        """Watch no longer."""
        if self._watching:
            self._watching = False
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except OSError:  # closed, or a terminal that went away
            data = b""
        if b"\n" in data:
            self._on_newline()
        if not data:
            self.stop()
            self._on_end()
        return bool(data)
