"""Where a service keeps what it must remember, and the lock that keeps a second one out."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO, Optional

from energyrecorder.errors import ConfigError


def state_dir(explicit: Optional[str] = None) -> Path:
    """Return the state directory, made if need be; see `own_folder`.

    In this order: ``explicit`` (the flag), ``ENERGY_STATE_DIR``, ``STATE_DIRECTORY`` (systemd),
    ``/var/lib/energyrecorder`` for root, ``$XDG_STATE_HOME/energyrecorder``.

    Raises:
        ConfigError: It cannot be made or written; the message holds the command that mends it.
    """
    return own_folder(
        Path(
            explicit or os.environ.get("ENERGY_STATE_DIR") or os.environ.get("STATE_DIRECTORY") or _default()
        )
    )


def own_folder(path: Path) -> Path:
    """Return the state directory or a folder in it, made if need be, for the owner alone.

    What root makes belongs to the owner of the directory that it is made in, as with `give_to_owner`.

    Raises:
        ConfigError: It cannot be made or written; the message holds the command that mends it.
    """
    try:
        _make(path, mode=0o700)
    except OSError as error:
        if isinstance(error, FileExistsError) and error.filename == str(path):
            raise ConfigError(f"state directory {str(path)!r} is a file; name another") from None
        raise ConfigError(
            f"state directory {str(path)!r} cannot be made: {error.strerror}; "
            f"mend with: sudo install -d -m 700 -o {os.environ.get('USER', 'USER')} {path}"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(
            f"state directory {str(path)!r} is not writable; "
            f"mend with: sudo chown -R {os.environ.get('USER', 'USER')} {path}"
        )
    return path


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Give a file or folder that root made to the owner of its directory; as another user nothing is done.

    An administrator's command may write what a service reads that has a user of its own: Telegraf's, or one
    that systemd made (``DynamicUser``). Where root may not give files away, they stay as they are.

    Args:
        descriptor: Of what was made, open.
        folder: The directory it was made in.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        with contextlib.suppress(OSError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def open_private(path: Path, flags: int) -> int:
    """Return a descriptor of a file, made if need be for the owner of its directory alone.

    Args:
        path: The file.
        flags: As for `os.open`.

    Raises:
        OSError: It cannot be made or opened.
    """
    flags |= os.O_CREAT | os.O_CLOEXEC
    try:
        # What a link leads to is never given away: the owner of the directory may have laid it.
        descriptor = os.open(path, flags | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags, 0o600)
    give_to_owner(descriptor, path.parent)
    return descriptor


def _make(folder: Path, mode: int) -> None:
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make(folder.parent, mode=0o777)
    folder.mkdir(mode=mode, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        give_to_owner(descriptor, folder.parent)
    finally:
        os.close(descriptor)


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
            descriptor = open_private(self._path, os.O_RDWR | os.O_APPEND)
            file = self._file = os.fdopen(descriptor, "a+", encoding="ascii")
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
