"""Keeps a second ``run`` away from servers that a first one polls, whatever part of the fleet each has."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from energyrecorder.errors import ConfigError
from energyrecorder.state_dir import open_private

# struct flock of Linux on 64-bit machines: type, whence, start, length, pid.
_FLOCK = struct.Struct("@hhqqi4x")


class ServerLocks:
    """One record lock per server in one file; the kernel drops them when the process ends, however it ends.

    Args:
        folder: The state directory's folder; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Record locks are lost when any descriptor of the file is closed: this one stays open.
        self._file = open_private(folder / "servers.lock", os.O_RDWR)
        self._held: set[str] = set()

    def acquire(self, servers: Iterable[str]) -> None:
        """Take the locks of ``servers``, and give back those of all others.

        Raises:
            ConfigError: Another process holds one of them; the message names its process id. Then nothing
                changed.
        """
        wanted = set(servers)
        taken: list[str] = []
        for server in sorted(wanted - self._held):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(server))
            except OSError:
                owner = self._owner(server)
                self._unlock(taken)
                raise ConfigError(
                    f"server {server!r} is polled by process {owner} already, with the same state directory "
                    f"{str(self._folder.parent)!r}; stop that one or give another --state"
                ) from None
            taken.append(server)
        self._unlock(self._held - wanted)
        self._held = wanted

    def close(self) -> None:
        """Give all locks back."""
        os.close(self._file)

    def _unlock(self, servers: Iterable[str]) -> None:
        for server in servers:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(server))

    def _owner(self, server: str) -> str:
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _place(server), 1, 0)
        answer = _FLOCK.unpack(fcntl.fcntl(self._file, fcntl.F_GETLK, question))
        # 0 or less: it lives in another pid namespace, such as another container.
        return str(answer[4]) if answer[4] > 0 else "unknown (in another container?)"


def _place(server: str) -> int:
    return int.from_bytes(hashlib.blake2b(server.encode(), digest_size=7).digest(), "big")
