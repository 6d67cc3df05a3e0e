"""Runs execd plugins as Telegraf would: newlines on stdin, points on stdout, levelled log lines on stderr.

The contract is Telegraf's (1.39.3, ``inputs.execd`` with ``signal = "STDIN"``): one newline per gather, on
the interval's boundary; stdin closed to end the plugin, then SIGTERM, then SIGKILL; a plugin that
ends by itself is started again; a bad line costs that line alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

from energyrecorder_annotator.samples.base import Point
from energyrecorder_annotator.samples.parse import BadLineError, parse_point

MAX_LINE_BYTES = 64 * 1024
"""Longer lines are cut on stderr and bad on stdout; the plugin is never blocked by them."""
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
STABLE_S = 60.0
"""A plugin that ran this long before it ended is started again without a longer wait."""
TERM_AFTER_S = 2.5
KILL_AFTER_S = 4.6
"""Telegraf waits 5 and 10 s; the annotator itself has to be gone within 5 s."""
_MOST_UNREAD_NEWLINES = 1024

Pipe = TypeVar("Pipe", asyncio.StreamReader, asyncio.StreamWriter)

_LEVELS = {"E! ": logging.ERROR, "W! ": logging.WARNING, "I! ": logging.INFO, "D! ": logging.DEBUG}
_log = logging.getLogger(__name__)


class PluginHost:
    """One plugin, kept running.

    Args:
        command: Program and arguments.
        take: Called with each point.
        environ: Environment of the plugin.
        interval_s: Time between newlines, aligned to the wall clock.
        keep_lines: Whether points are to carry their ``text``.
    """

    def __init__(
        self,
        command: Sequence[str],
        take: Callable[[Point], None],
        *,
        environ: Mapping[str, str],
        interval_s: float = 10.0,
        keep_lines: bool = False,
    ) -> None:
        self._command = list(command)
        self._take = take
        self._environ = dict(environ)
        self._interval_s = interval_s
        self._keep_lines = keep_lines
        self._stopping = asyncio.Event()
        self._last_end: str | None = None
        self._bad_line_told = False
        self.name = os.path.basename(self._command[0])  # noqa: PTH119  # a command, not a path of ours
        self.running = False
        self.exit_status: int | None = None
        """What it ended with last; None = it has not, negative = by a signal."""
        self.points = 0
        self.bad_lines = 0
        self.restarts = 0

    async def run(self) -> None:
        """Keep the plugin running until `stop` is called; returns when it has ended."""
        delay_s = FIRST_DELAY_S
        while not self._stopping.is_set():
            began = time.monotonic()
            end = await self._run_once()
            self.running = False
            if self._stopping.is_set():
                return
            if time.monotonic() - began >= STABLE_S:
                delay_s = FIRST_DELAY_S
            if end != self._last_end:
                _log.error("plugin %s %s; it is started again, after %g s now", self.name, end, delay_s)
                self._last_end = end
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
            self.restarts += 1

    def stop(self) -> None:
        """Have the plugin end, gently first."""
        self._stopping.set()

    async def _run_once(self) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environ,
                # Ctrl-C on a terminal reaches the annotator alone, which then ends the plugin in order.
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be started: {error.strerror} ({self._command[0]!r})"
        self.running = True
        self._bad_line_told = False
        readers = [
            asyncio.create_task(self._read_points(process)),
            asyncio.create_task(self._read_log(process)),
        ]
        newlines = asyncio.create_task(self._gather(process))
        ending = asyncio.create_task(self._end_when_stopped(process))
        try:
            await process.wait()
            # A grandchild may hold the pipes open; what the plugin itself printed is there by now.
            await asyncio.wait(readers, timeout=1.0)
        finally:
            for task in (newlines, ending, *readers):
                task.cancel()
            await asyncio.gather(newlines, ending, *readers, return_exceptions=True)
            if process.returncode is None:
                self._kill(process)
                await process.wait()
        self.exit_status = status = process.returncode or 0
        return f"ended by signal {-status}" if status < 0 else f"ended with exit status {status}"

    async def _gather(self, process: asyncio.subprocess.Process) -> None:
        stdin = _pipe(process.stdin)
        while True:
            await asyncio.sleep(self._interval_s - time.time() % self._interval_s)
            # A plugin that does not read is slow, not gone: it needs no second reminder.
            if stdin.transport.get_write_buffer_size() < _MOST_UNREAD_NEWLINES:
                stdin.write(b"\n")

    async def _end_when_stopped(self, process: asyncio.subprocess.Process) -> None:
        await self._stopping.wait()
        _pipe(process.stdin).close()
        await asyncio.sleep(TERM_AFTER_S)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        _log.warning("plugin %s did not end within %g s after its stdin was closed", self.name, TERM_AFTER_S)
        await asyncio.sleep(KILL_AFTER_S - TERM_AFTER_S)
        self._kill(process)

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    async def _read_points(self, process: asyncio.subprocess.Process) -> None:
        async for line in _lines(_pipe(process.stdout), whole_only=True):
            if line:
                self._take_line(line)

    def _take_line(self, line: bytes) -> None:
        try:
            point = parse_point(line.decode("utf-8"), time.time_ns(), keep_lines=self._keep_lines)
        except (BadLineError, UnicodeDecodeError) as error:
            self.bad_lines += 1
            if not self._bad_line_told:
                _log.warning(
                    "plugin %s printed a line that is skipped, as others like it: %s", self.name, error
                )
                self._bad_line_told = True
            return
        if self._last_end is not None:
            _log.info("plugin %s works again", self.name)
            self._last_end = None
        if point is not None:
            self.points += 1
            self._take(point)

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        async for line in _lines(_pipe(process.stderr), whole_only=False):
            text = line[:MAX_LINE_BYTES].decode("utf-8", "replace")
            level = _LEVELS.get(text[:3])
            message = text if level is None else text[3:]
            if message.strip():
                _log.log(logging.ERROR if level is None else level, "%s: %s", self.name, message)


def _pipe(stream: Pipe | None) -> Pipe:
    if stream is None:
        raise AssertionError("the plugin was started with pipes")
    return stream


async def _lines(stream: asyncio.StreamReader, *, whole_only: bool) -> AsyncIterator[bytes]:
    """Yield lines without their ends; of an overlong one its first part, as soon as that is there.

    With ``whole_only`` a last line without its end is left out: a number in it may be cut off.
    """
    rest = b""
    skipping = False
    while chunk := await stream.read(MAX_LINE_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if not skipping:
                yield line.rstrip(b"\r")
            skipping = False
        if len(rest) > MAX_LINE_BYTES:
            if not skipping:
                yield rest
            rest, skipping = b"", True
    if rest and not skipping and not whole_only:
        yield rest
