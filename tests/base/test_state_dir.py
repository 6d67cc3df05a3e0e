"""The state directory is private, found by a fixed order, and held by one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder.state_dir import StateLock, open_private, own_folder, state_dir


def test_order_of_precedence(monkeypatch, tmp_path):
    """Flag before ENERGY_STATE_DIR before STATE_DIRECTORY."""
    for name in ("flag", "own", "systemd"):
        assert not (tmp_path / name).exists()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "systemd"))
    assert state_dir() == tmp_path / "systemd"
    monkeypatch.setenv("ENERGY_STATE_DIR", str(tmp_path / "own"))
    assert state_dir() == tmp_path / "own"
    assert state_dir(str(tmp_path / "flag")) == tmp_path / "flag"
    assert (tmp_path / "flag").stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_made_names_the_remedy(tmp_path):
    """The message holds a command that mends it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="mend with: sudo install -d"):
        state_dir(str(tmp_path / "file" / "below"))


def test_a_file_is_no_place_and_there_is_no_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"'.*/file' is a file; name another$"):
        state_dir(str(tmp_path / "file"))


def test_what_root_makes_is_of_the_owner_of_the_place(monkeypatch, tmp_path):
    """Root's `once --state` before the first start of Telegraf, whose user has to get in."""
    given = []

    def note(descriptor, user, group):
        given.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, user, group))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", note)
    here = tmp_path.stat().st_uid, tmp_path.stat().st_gid
    folder = own_folder(tmp_path / "state" / "execd")
    os.close(open_private(folder / "lock", os.O_RDWR))
    assert given == [("state", *here), ("execd", *here), ("lock", *here)]
    own_folder(folder)
    os.close(open_private(folder / "lock", os.O_RDWR))
    assert len(given) == 3, "what is there stays whose it is"


def test_root_gives_away_nothing_that_a_link_leads_to(monkeypatch, tmp_path):
    """The owner of the directory may have laid it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda *_: pytest.fail("given away"))
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    os.close(open_private(tmp_path / "lock", os.O_RDWR))
    assert (tmp_path / "elsewhere").exists()


def test_a_second_process_is_refused_and_told_the_first_ones_pid(tmp_path):
    """The lock names its owner; releasing it lets the next one in."""
    lock = StateLock(tmp_path / "lock")
    lock.acquire()
    script = (
        "import sys; from pathlib import Path; from energyrecorder.state_dir import StateLock\n"
        "StateLock(Path(sys.argv[1])).acquire()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert f"in use by process {os.getpid()}" in second.stderr
    lock.release()
    lock.release()
    assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
