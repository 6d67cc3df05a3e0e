"""Copies the databases while the service runs: SQLite's online backup, checked, then put in place."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from energyrecorder.errors import ConfigError
from energyrecorder_annotator.auth.tokens import FILE_NAME

SAMPLES = "samples.db"
JOURNAL = "annotator.db"
_PAGES = 2000
"""Copied at a time, so that a writer gets its turn in between."""


def backup(state: Path, store: Path | None, target: Path) -> list[Path]:
    """Copy journal, samples and token digests into a directory and return the files written.

    Args:
        state: State directory.
        store: Journal's file; None = in the state directory.
        target: Directory; made if missing, for the owner alone. Nothing in it is overwritten.

    Raises:
        ConfigError: A file is there already, or cannot be read or written.
    """
    sources = [(store or state / JOURNAL, JOURNAL), (state / SAMPLES, SAMPLES)]
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = [_copy(source, target / name) for source, name in sources if source.exists()]
        tokens = state / FILE_NAME
        if tokens.exists():
            shutil.copy2(tokens, _free(target / FILE_NAME))
            written.append(target / FILE_NAME)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"backup to {str(target)!r} failed: {why}") from None
    if not written:
        raise ConfigError(f"there is nothing to back up in {str(state)!r}; give the right --state")
    return written


def _copy(source: Path, target: Path) -> Path:
    beside = _free(target).with_name(f"{target.name}.part")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(beside)) as writer:
        reader.backup(writer, pages=_PAGES, sleep=0.01)
        problem = writer.execute("PRAGMA quick_check").fetchone()[0]
    if problem != "ok":
        beside.unlink()
        raise ConfigError(f"database {str(source)!r} is damaged: {problem}")
    beside.replace(target)
    return target


def _free(target: Path) -> Path:
    if target.exists():
        raise ConfigError(f"{str(target)!r} is there already; choose an empty directory")
    return target
