"""The SQLite journal: what a killed process, a damaged file and a full disk leave behind."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder_annotator.journal.base import JournalError, StepQuery
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from support.journal import put, step

KILLED = """
import sys
from pathlib import Path
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.lifecycle import Step
journal = SqliteJournal(Path(sys.argv[1]))
number = 0
while True:
    steps = [Step(f"{number}-{n}", f"{number}-{n}", None, "e", "s", None, start_ns=number * 10 + n, version=1)
             for n in range(3)]
    journal.submit(lambda t: t.put_steps(steps)).result()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_survives_sigkill_whole(tmp_path, acknowledged):
    path = tmp_path / "journal.db"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    with process:
        for _ in range(acknowledged):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
    last = int(rest[-1]) if rest else last
    journal = SqliteJournal(path)
    try:
        found = {one.step_id for one, _ in journal.list_steps(StepQuery(limit=100_000))}
    finally:
        journal.close()
    expected = {f"{number}-{n}" for number in range(last + 1) for n in range(3)}
    # The work that was under way may be there too, but only as a whole.
    assert found - expected in (set(), {f"{last + 1}-{n}" for n in range(3)})
    assert expected <= found


def test_a_damaged_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(ConfigError, match=r"journal\.db.*nothing was changed"):
        SqliteJournal(path)
    assert path.read_bytes() == b"this is not a database" * 100


PAGE = 4096


def test_damaged_pages_are_told_and_left_alone_and_the_rest_is_read(tmp_path):
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    put(journal, *(step(f"s{n:04}", start_ns=n, title="x" * 200) for n in range(2000)))
    journal.close()
    before = bytearray(path.read_bytes())
    damaged = range(60 * PAGE, 80 * PAGE)
    before[damaged.start : damaged.stop] = b"\xa5" * len(damaged)
    path.write_bytes(before)
    journal = SqliteJournal(path)
    lost = []
    try:
        for number in range(2000):
            try:
                assert journal.step(f"s{number:04}")[0].start_ns == number
            except JournalError:
                lost.append(f"s{number:04}")
        assert 0 < len(lost) < 1000
        with pytest.raises(JournalError, match="malformed"):
            journal.step(lost[0])
        with pytest.raises(JournalError, match="malformed"):
            put(journal, step(lost[0], start_ns=5000))
        put(journal, step("zz", start_ns=5001))
        assert journal.step("zz")[0].start_ns == 5001
    finally:
        journal.close()
    assert path.read_bytes()[damaged.start : damaged.stop] == b"\xa5" * len(damaged)


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="schema version 99"):
        SqliteJournal(path)


def test_a_full_disk_is_told_to_everybody_and_nothing_remains(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    try:
        put(journal, step("before"))
        pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._connection.execute(f"PRAGMA max_page_count = {pages}")
        big = [step(f"big{n}", start_ns=n, title="x" * 20_000) for n in range(10)]
        with pytest.raises(JournalError, match="full"):
            put(journal, *big)
        journal._connection.execute("PRAGMA max_page_count = 1000000")
        put(journal, step("after", start_ns=3))
        assert {one.step_id for one, _ in journal.list_steps(StepQuery())} == {"before", "after"}
    finally:
        journal.close()


def test_a_file_of_the_first_version_is_brought_up_to_date_with_all_it_holds(tmp_path):
    path = tmp_path / "journal.db"
    first = resources.files("energyrecorder_annotator.journal.migrations") / "0001_steps.sql"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(first.read_text(encoding="utf-8"))
    connection.execute("PRAGMA user_version = 1")
    columns = (
        "step_id, run_id, env, scenario, step, state, start_ns, started, ttl_s, version, changed_seq, detail"
    )
    row = ("s", "s", "pod1", "sc", "name", "running", 5, 1, 60.0, 1, 1, "{}")
    connection.execute(f"INSERT INTO steps ({columns}) VALUES ({','.join('?' * 12)})", row)
    for number in (2, 1):
        connection.execute(
            "INSERT INTO marks VALUES (?, 'pod1', NULL, NULL, NULL, 'note', ?, 'title', NULL)",
            (f"m{number}", number),
        )
    connection.execute("UPDATE sequence SET seq = 1")
    connection.close()
    journal = SqliteJournal(path)
    try:
        found, result = journal.step("s")
        assert (found.step, found.start_ns, result) == ("name", 5, None)
        assert [(seq, mark.mark_id) for seq, mark in journal.mark_changes(0, 10)] == [(2, "m1"), (3, "m2")]
        assert journal.has_own_series("pod1", "sc", "name")
        put(journal, step("new", start_ns=9))
        assert journal.changes(0, 10) == [(1, "s", 1), (4, "new", 1)]
    finally:
        journal.close()


def test_a_database_that_root_makes_is_of_the_owner_of_the_directory(tmp_path, monkeypatch):
    """Root's `migrate` before the service, which has a user of its own, made one."""
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    for _ in range(2):
        SqliteJournal(tmp_path / "journal.db").close()
    assert given == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)]


@contextlib.contextmanager
def nobody():
    """Run as a user without rights, where the tests run as root, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_only_be_read_is_refused_and_left_alone():
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        SqliteJournal(path).close()
        before = path.read_bytes()
        path.chmod(0o444)
        path.parent.chmod(0o555)
        try:
            with (
                nobody(),
                pytest.raises(ConfigError, match=r"journal\.db.*cannot be used.*nothing was changed"),
            ):
                SqliteJournal(path)
            assert path.read_bytes() == before
        finally:
            path.parent.chmod(0o755)
