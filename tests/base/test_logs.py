"""Log lines are single, prefixed, bounded, and cannot be forged by foreign text."""

from __future__ import annotations

import json
import logging

import pytest

from energyrecorder import logs
from energyrecorder.errors import ConfigError


@pytest.fixture
def root_logger():
    """Give the root logger back as it was."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = kept, level


def _record(message, level=logging.WARNING):
    return logging.LogRecord("energy", level, __file__, 1, message, None, None)


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.DEBUG, "D! "),
        (logging.INFO, "I! "),
        (logging.WARNING, "W! "),
        (logging.ERROR, "E! "),
        (50, "E! "),
        (5, "D! "),
    ],
)
def test_telegraf_prefixes(level, prefix):
    """Each level has the prefix that Telegraf understands."""
    assert logs.TelegrafFormatter().format(_record("x", level)) == f"{prefix}x"


def test_foreign_text_stays_on_its_line():
    """A newline in a message cannot forge a second entry."""
    assert logs.TelegrafFormatter().format(_record("a\nE! forged\r")) == r"W! a\nE! forged\r"
    assert json.loads(logs.JsonFormatter().format(_record("a\nb")))["message"] == r"a\nb"


@pytest.mark.parametrize("formatter", [logs.TelegrafFormatter(), logs.JsonFormatter()])
@pytest.mark.parametrize("character", ["x", "é", "\x01", "🚀"])
def test_lines_are_bounded(formatter, character):
    """By what is written, whatever it takes to write a character."""
    line = formatter.format(_record(character * 100_000))
    assert logs.MAX_LINE_BYTES / 2 - 64 <= len(line.encode()) <= logs.MAX_LINE_BYTES


def test_a_traceback_is_one_line():
    """An exception with its traceback is still one line."""
    with pytest.raises(ValueError, match="boom") as caught:
        int("boom")
    info = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("energy", logging.ERROR, __file__, 1, "failed", None, info)
    line = logs.TelegrafFormatter().format(record)
    assert "\n" not in line
    assert "boom" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "loud"}, "log level is 'loud'; allowed: debug, info, warning, error"),
        ({"log_format": "xml"}, "log format is 'xml'; allowed: text, json"),
        ({"file": "/does/not/exist/x.log"}, "log file '/does/not/exist/x.log' cannot be opened"),
    ],
)
def test_bad_options(arguments, message, root_logger):
    """A wrong option says what is allowed."""
    with pytest.raises(ConfigError, match=message):
        logs.set_up(**arguments)


def test_level_comes_from_the_environment(monkeypatch, root_logger, tmp_path):
    """Without a flag, ENERGY_LOG_LEVEL decides; a file is re-opened after it was moved."""
    monkeypatch.setenv("ENERGY_LOG_LEVEL", "error")
    path = tmp_path / "log"
    logs.set_up(file=str(path))
    logging.getLogger("energy").warning("quiet")
    logging.getLogger("energy").error("first")
    path.rename(tmp_path / "log.1")
    logging.getLogger("energy").error("second")
    root_logger.handlers[0].close()
    assert (tmp_path / "log.1").read_text() == "E! first\n"
    assert path.read_text() == "E! second\n"
