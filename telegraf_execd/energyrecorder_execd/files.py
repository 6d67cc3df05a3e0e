"""Replaces files whole: a reader sees the old one or the new one, and a failure leaves the old one."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from energyrecorder.state_dir import give_to_owner


def write_private(path: Path, text: str) -> None:
    """Replace the file at ``path`` by one with ``text``, mode 0600, of the owner of its directory.

    Raises:
        OSError: The directory cannot be written.
    """
    with _replacing(path) as file:
        file.write(text)
        give_to_owner(file.fileno(), path.parent)


def write_as_before(path: Path, text: str) -> None:
    """Replace the file at ``path``, or the one it links to, by one with ``text``, owner and mode kept.

    Raises:
        OSError: The directory cannot be written.
    """
    target = path.resolve()
    with _replacing(target) as file:
        file.write(text)
        if target.exists():
            before = target.stat()
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """Give a new file of mode 0600 in the same directory, which then takes the place of ``path``."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
