"""Replaces files whole: a reader sees the old one or the new one, and a failure leaves the old one."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace the file at ``path`` by one with ``text``, mode 0600.

    Raises:
        OSError: The directory cannot be written.
    """
    with _beside(path, text) as new:
        new.replace(path)


def write_as_before(path: Path, text: str) -> None:
    """Replace the file at ``path``, or the one it links to, by one with ``text``, owner and mode kept.

    Raises:
        OSError: The directory cannot be written.
    """
    target = path.resolve()
    with _beside(target, text) as new:
        if target.exists():
            before = target.stat()
            shutil.copymode(target, new)
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(new, before.st_uid, before.st_gid)
        new.replace(target)


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """Write ``text`` to a file of mode 0600 in the same directory; it goes unless it was moved away."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
