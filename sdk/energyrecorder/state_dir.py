"""Where a service keeps what it must remember, and the lock that keeps a second one out."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO, Optional

from energyrecorder.errors import ConfigError


def state_dir(explicit: Optional[str] = None) -> Path:
    """Return the state directory, made if need be, for the owner alone.

    In this order: ``explicit`` (the flag), ``ENERGY_STATE_DIR``, ``STATE_DIRECTORY`` (systemd),
    ``/var/lib/energyrecorder`` for root, ``$XDG_STATE_HOME/energyrecorder``.

    Raises:
        ConfigError: It cannot be made or written; the message holds the command that mends it.
    """
    path = Path(
        explicit or os.environ.get("ENERGY_STATE_DIR") or os.environ.get("STATE_DIRECTORY") or _default()
    )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if path.exists():
            raise ConfigError(f"state directory {str(path)!r} is a file; name another") from None
        raise ConfigError(
            f"state directory {str(path)!r} cannot be made: {error.strerror}; "
            f"mend with: sudo install -d -m 700 -o {os.environ.get('USER', 'USER')} {path}"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(
            f"state directory {str(path)!r} is not writable; "
            f"mend with: sudo chown {os.environ.get('USER', 'USER')} {path}"
        )
    return path


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Give an open file that root made to the owner of its directory; as another user nothing is done.

    An administrator's command may write what a service reads that has a user of its own: Telegraf's, or one
    that systemd made (``DynamicUser``). Where root may not give files away, they stay as they are.

    Args:
        descriptor: Of the file.
        folder: Its directory.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        with contextlib.suppress(OSError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _default() -> str:
    if os.geteuid() == 0:
        return "/var/lib/energyrecorder"
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(base) / "energyrecorder")


class StateLock:
    """An exclusive lock on a state directory, held while the process lives.

    Args:
        path: The lock file; it holds the owner's process id.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Optional[IO[str]] = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ConfigError: Another process holds it, named by its id; or the file cannot be written.
        """
        try:
            file = self._file = self._path.open("a+", encoding="ascii")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            self.release()
            raise ConfigError(
                f"state directory {str(self._path.parent)!r} is in use by process {owner}; "
                "stop that one or give another --state"
            ) from None
        except OSError as error:
            raise ConfigError(f"lock file {str(self._path)!r} cannot be written: {error.strerror}") from None

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
