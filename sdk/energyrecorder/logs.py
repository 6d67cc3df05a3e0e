"""Log lines as Telegraf and people read them: one line each, level prefix, never longer than 8 KiB."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from typing import Optional

from energyrecorder.errors import ConfigError

MAX_LINE_BYTES = 8 * 1024
"""Telegraf stops reading a plugin's stderr at a line over 64 KiB and then blocks it (1.39.3, measured)."""

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
_PREFIXES = {logging.DEBUG: "D! ", logging.INFO: "I! ", logging.WARNING: "W! ", logging.ERROR: "E! "}


def _one_line(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}: {formatter.formatException(record.exc_info)}"
    # Foreign text must not forge a second line.
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _cut(line: str) -> str:
    encoded = line.encode("utf-8", "replace")
    if len(encoded) < MAX_LINE_BYTES:
        return line
    return encoded[: MAX_LINE_BYTES - 16].decode("utf-8", "ignore") + " [cut]"


class TelegrafFormatter(logging.Formatter):
    """``E! W! I! D!`` and the message: what Telegraf turns back into levels."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one prefixed line."""
        level = min(logging.ERROR, max(logging.DEBUG, record.levelno // 10 * 10))
        return _cut(_PREFIXES[level] + _one_line(record, self))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (s since the epoch), ``level``, ``logger``, ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one JSON line."""
        message = _one_line(record, self)[:MAX_LINE_BYTES]
        entry = {"time": record.created, "level": record.levelname.lower(), "logger": record.name}
        # A character takes up to twelve bytes as it is escaped.
        while len(line := json.dumps({**entry, "message": message})) >= MAX_LINE_BYTES and message:
            message = message[: len(message) // 2]
        return line


def set_up(*, level: Optional[str] = None, log_format: str = "text", file: Optional[str] = None) -> None:
    """Send this process' log to stderr, or to ``file``.

    Args:
        level: One of `LEVELS`; None means ``ENERGY_LOG_LEVEL``, else ``info``.
        log_format: One of `FORMATS`.
        file: Path; re-opened when it was moved away. None means stderr.

    Raises:
        ConfigError: An unknown level or format, or a file that cannot be opened.
    """
    name = (level or os.environ.get("ENERGY_LOG_LEVEL") or "info").lower()
    if name not in LEVELS:
        raise ConfigError(f"log level is {name!r}; allowed: {', '.join(LEVELS)}")
    if log_format not in FORMATS:
        raise ConfigError(f"log format is {log_format!r}; allowed: {', '.join(FORMATS)}")
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        try:
            handler = logging.handlers.WatchedFileHandler(file, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"log file {file!r} cannot be opened: {error.strerror}") from None
    handler.setFormatter(JsonFormatter() if log_format == "json" else TelegrafFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(name.upper())
