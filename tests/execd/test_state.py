"""What is kept on disk: for the owner alone, replaced whole, and never a reason to stop."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import time

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder_execd.files import write_private
from energyrecorder_execd.lockout_file import LockoutFile
from energyrecorder_execd.options import state_folder
from energyrecorder_execd.server_locks import ServerLocks
from energyrecorder_execd.state import MARK_BEHIND_S, FactsStore, basic_only, pin_only


def test_facts_come_back_after_a_restart(tmp_path):
    """Mode 0600, one file per server, no temporary file left."""
    FactsStore(tmp_path / "s").save("node-1", "10.0.0.1", {"redfish": {"session": "/x/1"}})
    assert FactsStore(tmp_path / "s").load("node-1", "10.0.0.1") == {"redfish": {"session": "/x/1"}}
    (file,) = (tmp_path / "s").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700


def test_facts_of_another_bmc_are_not_used(tmp_path):
    """A server that moved to another address is learned anew."""
    FactsStore(tmp_path).save("node-1", "10.0.0.1", {"a": 1})
    assert FactsStore(tmp_path).load("node-1", "10.0.0.2") == {}


def test_unchanged_facts_are_not_written(tmp_path):
    """A poll that learned nothing costs no disk access, also right after a restart."""
    FactsStore(tmp_path).save("a", "h", {"x": 1})
    store = FactsStore(tmp_path)
    facts = store.load("a", "h")
    before = (tmp_path / "a.json").stat().st_ino
    store.save("a", "h", facts)
    assert (tmp_path / "a.json").stat().st_ino == before
    facts["x"] = 2
    store.save("a", "h", facts)
    assert (tmp_path / "a.json").stat().st_ino != before


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"facts": 3, "bmc": "h"}'])
def test_a_broken_file_is_put_aside(tmp_path, text):
    """The BMC is learned anew."""
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    store = FactsStore(tmp_path)
    assert store.load("a", "h") == {}
    store.save("a", "h", {"x": 1})
    assert FactsStore(tmp_path).load("a", "h") == {"x": 1}


def test_a_file_that_cannot_be_read_is_not_forgotten(tmp_path):
    """Of another owner, or too many files are open: the certificate that it trusts stays the one to trust."""
    (tmp_path / "a.json").mkdir()
    with pytest.raises(ConfigError, match=r"state file '.*a\.json' cannot be read: Is a directory"):
        FactsStore(tmp_path).load("a", "h")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_disk_that_takes_nothing_is_logged_once(tmp_path, caplog):
    """And polling goes on."""
    store = FactsStore(tmp_path / "s")
    (tmp_path / "s").rmdir()
    with caplog.at_level(logging.ERROR):
        store.save("a", "h", {"x": 1})
        store.save("a", "h", {"x": 2})
        store.save("a", "h", {"x": object()})
    assert len(caplog.records) == 1


def test_what_root_makes_is_of_the_owner_of_the_directory(tmp_path, monkeypatch):
    """Root's `once` before the first start of the collector of Telegraf's user: that one needs all of it."""
    given = {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        os, "fchown", lambda file, user, group: given.update({os.fstat(file).st_ino: (user, group)})
    )
    folder = state_folder(str(tmp_path))
    with LockoutFile(folder).change() as state:
        state.proven.add("monitor:0")
    ServerLocks(folder).close()
    FactsStore(folder / "servers").save("node-1", "10.0.0.1", {"x": 1})
    made = [path.name for path in tmp_path.rglob("*") if path.stat().st_ino in given]
    assert sorted(made) == sorted(path.name for path in tmp_path.rglob("*"))
    assert len(made) == 6
    assert set(given.values()) == {(tmp_path.stat().st_uid, tmp_path.stat().st_gid)}


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    """Never half a file, never a temporary one left behind."""
    path = tmp_path / "f"
    write_private(path, "old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_private(path, "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
    assert path.read_text() == "old"


def test_pin_only_keeps_the_certificate_and_nothing_else():
    """What `once` may use of what `run` remembers."""
    facts = {"redfish": {"session": "/x", "plan": {}}, "pin": "ab", "auto": {}}
    assert pin_only(facts) == {"pin": "ab"}
    assert pin_only({"redfish": {}}) == {}


@pytest.mark.parametrize(
    ("kept", "facts"),
    [
        ({"redfish": {"pin": "ab", "plan": 1}}, {"redfish": {"plan": 1}, "pin": "ab"}),
        # The one that a change of the protocol let be trusted anew is what is polled.
        ({"redfish": {"pin": "ab"}, "ilo": {"pin": "cd"}}, {"redfish": {}, "ilo": {}, "pin": "cd"}),
        ({"redfish": {"pin": "ab"}, "pin": "cd"}, {"redfish": {}, "pin": "cd"}),
        ({"ipmi": {}, "learned": 3}, {"ipmi": {}, "learned": 3}),
    ],
)
def test_a_certificate_that_was_kept_for_a_protocol_is_that_of_the_bmc(kept, facts, tmp_path):
    """Files of earlier versions are honoured."""
    FactsStore(tmp_path).save("a", "h", kept)
    assert FactsStore(tmp_path).load("a", "h") == facts


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, False),
        ({"redfish": {"auth": "session"}}, False),
        ({"redfish": {"http": {"auth": "basic"}}}, True),
    ],
)
def test_basic_only(facts, expected):
    """Readers remember how they log in."""
    assert basic_only(facts) is expected


HOLDER = """
import sys
from pathlib import Path
from energyrecorder_execd.server_locks import ServerLocks
locks = ServerLocks(Path(sys.argv[1]))
locks.acquire(sys.argv[2:])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_server_is_polled_by_one_process_and_the_other_one_is_named(tmp_path):
    """Other servers of the same state directory are free; the lock goes with the process."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path, "a", "b"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        locks = ServerLocks(tmp_path)
        locks.acquire(["c", "d"])
        with pytest.raises(ConfigError, match=f"server 'b' is polled by process {holder.pid} already"):
            locks.acquire(["b", "c"])
        holder.kill()
    locks.acquire(["b", "c"])
    locks.close()


def test_locks_follow_the_fleet(tmp_path):
    """A server that left the fleet is free for another process, one that stayed is not."""
    locks = ServerLocks(tmp_path)
    locks.acquire(["a", "b"])
    locks.acquire(["b"])
    for server, free in (("a", True), ("b", False)):
        run = subprocess.run(
            [sys.executable, "-c", HOLDER, tmp_path, server],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (run.returncode == 0) is free, run.stderr
        if not free:
            assert f"process {os.getpid()} already" in run.stderr
    locks.close()


def test_what_is_learned_of_each_reading_is_written_now_and_then_and_at_the_end(tmp_path):
    """A session or a plan is on disk at once; the rest must not cost a write per poll."""
    now_s = [0.0]
    store = FactsStore(tmp_path, lambda: now_s[0])
    facts = {"redfish": {"session": "/s/1", "learned": {"a": 0}}}

    def on_disk():
        return FactsStore(tmp_path).load("a", "h")["redfish"]

    store.save("a", "h", facts)
    facts["redfish"]["learned"] = {"a": 1}
    now_s[0] = 10.0
    store.save("a", "h", facts)
    assert on_disk()["learned"] == {"a": 0}
    facts["redfish"]["session"] = "/s/2"
    store.save("a", "h", facts)
    assert on_disk() == {"session": "/s/2", "learned": {"a": 1}}
    facts["redfish"]["learned"] = {"a": 2}
    now_s[0] = 20.0
    store.save("a", "h", facts)
    assert on_disk()["learned"] == {"a": 1}
    now_s[0] = 311.0
    store.save("a", "h", facts)
    assert on_disk()["learned"] == {"a": 2}
    facts["redfish"]["learned"] = {"a": 3}
    store.save("a", "h", facts, at_end=True)
    assert on_disk()["learned"] == {"a": 3}


def _last_ns(folder):
    return FactsStore(folder).load("a", "h")["redfish"]["learned"]["last_ns"]


def test_the_time_of_the_last_reading_is_known_after_a_crash(tmp_path):
    """To the nanosecond at each poll, though the file is not written; other facts move it not."""
    store = FactsStore(tmp_path, lambda: 0.0)
    learned = {"last_ns": time.time_ns() - 3600 * 10**9}
    facts = {"redfish": {"learned": learned}}
    store.save("a", "h", facts)
    written = (tmp_path / "a.json").stat().st_ino
    for _ in range(2):
        learned["last_ns"] += 10 * 10**9 + 1
        store.save("a", "h", facts)
        assert _last_ns(tmp_path) == learned["last_ns"]
    assert (tmp_path / "a.json").stat().st_ino == written
    store.save("a", "h", {"redfish": {"learned": learned, "session": "/s/2"}})
    assert _last_ns(tmp_path) == learned["last_ns"]
    assert (tmp_path / "a.json").stat().st_ino != written


def test_after_a_crash_of_the_machine_the_last_reading_may_have_been_a_little_later(tmp_path, monkeypatch):
    """The time of a file is written to disk seconds after it was set."""
    last_ns = time.time_ns()
    FactsStore(tmp_path).save("a", "h", {"redfish": {"learned": {"last_ns": last_ns}}})
    booted_s = time.time() + 1
    monkeypatch.setattr(time, "time", lambda: booted_s + time.clock_gettime(time.CLOCK_BOOTTIME))
    assert _last_ns(tmp_path) == last_ns + int(MARK_BEHIND_S) * 10**9


@pytest.mark.parametrize("last_ns", ["x", None, 10**30, {}])
def test_a_last_reading_that_is_none_is_harmless(tmp_path, last_ns):
    """A state file that was damaged stops nothing."""
    store = FactsStore(tmp_path)
    for number in range(2):
        store.save("a", "h", {"x": number, "redfish": {"learned": {"last_ns": last_ns}}})
    assert FactsStore(tmp_path).load("a", "h")["x"] == 1
