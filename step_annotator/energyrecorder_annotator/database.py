"""Opening SQLite files: write-ahead log, migrations in order, and clear words about a file we cannot use."""

from __future__ import annotations

import os
import sqlite3
from importlib import resources
from pathlib import Path

from energyrecorder.errors import ConfigError
from energyrecorder.state_dir import open_private

BUSY_TIMEOUT_S = 30.0


def open_database(path: Path, *, package: str, durable: bool) -> sqlite3.Connection:
    """Return a connection for writing, the schema brought up to date.

    Args:
        path: The file; made if missing, readable by the owner alone.
        package: Package with the migrations ``NNNN_name.sql``, applied in the order of their numbers.
        durable: Whether a commit must survive the loss of power; otherwise only a crash of the process.

    Raises:
        ConfigError: The file cannot be opened, is damaged, or is of a newer version.
    """
    try:
        # Not one that is there: to close it again would drop the locks that SQLite has of it in this process.
        if not path.exists():
            os.close(open_private(path, os.O_RDONLY))
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        # A file that may only be read is opened without complaint, and found out at the first step.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        _migrate(connection, path, package)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"database {str(path)!r} cannot be used: {reason}; nothing was changed in it"
        ) from None
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write, for a file that `open_database` has opened."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path, package: str) -> None:
    scripts = sorted(
        (entry for entry in resources.files(package).iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(scripts):
        raise ConfigError(
            f"database {str(path)!r} has schema version {version}, this program knows up to {len(scripts)}; "
            "use the newer program or another file"
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        statements = script.read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE; {statements}; PRAGMA user_version = {number}; COMMIT;")
