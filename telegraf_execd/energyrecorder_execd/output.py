"""Standard output for lines alone: foreign prints go to the log, each poll's lines leave in one write."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import select
import stat
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

from energyrecorder.errors import ConfigError

logger = logging.getLogger(__name__)

MAX_BACKLOG_BYTES = 4 * 1024 * 1024
"""Lines kept while the reader of our output does not read; later ones are dropped with a warning."""

PAUSE_S = 0.2
"""Telegraf 1.39.3 loses lines that are written right before the plugin ends (none after 0.05 s: seen)."""

# POSIX: a pipe that polls as writable takes this much without blocking, in one piece.
_PIPE_BUF = select.PIPE_BUF


class _PrintsToLog(io.TextIOBase):
    """Takes what libraries print (pyghmi does) and logs it, so that no foreign line reaches Telegraf."""

    def __init__(self) -> None:
        self._rest = ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Log each full line."""
        *full, self._rest = (self._rest + text).split("\n")
        for line in full:
            if line.strip():
                logger.info("a library printed: %s", line)
        return len(text)


def take_stdout() -> int:
    """Return a descriptor of the real standard output, for lines; what anybody else prints goes to the log.

    Descriptor 1 becomes standard error, which catches prints of C code as well.

    Raises:
        ConfigError: Standard output is closed.
    """
    if sys.stdout is None:
        raise ConfigError("standard output is closed; the lines need one")
    sys.stdout.flush()
    lines = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = _PrintsToLog()
    return lines


class LineWriter:
    """Writes whole lines to a descriptor without ever waiting for who reads them.

    Args:
        descriptor: Pipe, terminal or file.
        on_broken: Called once when lines can no longer be written.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self.failure: OSError | None = None
        """Why no more lines are written; None while they are."""
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._dropped = 0
        self._written_s = float("-inf")
        self._poll: select.poll | None = None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)

    def write(self, lines: Sequence[str]) -> None:
        """Write the lines now, in as few pieces as the pipe guarantees to keep whole."""
        for piece in _pieces(lines):
            if self.failure is not None:
                return
            if self._backlog or not self._ready():
                self._keep(piece)
            else:
                self._send(piece)

    async def finish(self, longest_s: float) -> None:
        """Wait until all lines have been written and the last one is `PAUSE_S` old.

        Args:
            longest_s: Longest wait for somebody who does not read, seconds.
        """
        until_s = time.monotonic() + longest_s
        while self._backlog and self.failure is None and time.monotonic() < until_s:  # noqa: ASYNC110  # at the end only
            await asyncio.sleep(0.01)
        await asyncio.sleep(max(0.0, self._written_s + PAUSE_S - time.monotonic()))

    def _ready(self) -> bool:
        return self._poll is None or bool(self._poll.poll(0))

    def _send(self, piece: bytes) -> None:
        view = memoryview(piece)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            self._written_s = time.monotonic()
        except OSError as error:
            self.failure = error
            self._backlog.clear()
            if isinstance(error, BrokenPipeError):
                logger.info("nobody reads our output: %s", error.strerror)
            self._on_broken()

    def _keep(self, piece: bytes) -> None:
        if self._backlog_bytes + len(piece) > MAX_BACKLOG_BYTES:
            if not self._dropped:
                logger.warning("our output is not read; lines are dropped from now on")
            self._dropped += 1
            return
        if not self._backlog:
            asyncio.get_running_loop().add_writer(self._descriptor, self._send_backlog)
        self._backlog.append(piece)
        self._backlog_bytes += len(piece)

    def _send_backlog(self) -> None:
        while self._backlog and self._ready():
            piece = self._backlog.popleft()
            self._backlog_bytes -= len(piece)
            self._send(piece)
        if not self._backlog:
            asyncio.get_running_loop().remove_writer(self._descriptor)
            if self._dropped:
                logger.warning("our output is read again; %d polls were dropped", self._dropped)
                self._dropped = 0


def _pieces(lines: Sequence[str]) -> list[bytes]:
    pieces: list[bytes] = []
    for line in lines:
        encoded = line.encode() + b"\n"
        if pieces and len(pieces[-1]) + len(encoded) <= _PIPE_BUF:
            pieces[-1] += encoded
        else:
            pieces.append(encoded)
    return pieces
