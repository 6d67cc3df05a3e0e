"""A password or token that never shows itself in a repr, a log line or a traceback."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Mapping, Optional

from energyrecorder.errors import ConfigError

_REFERENCE = re.compile(r"\{(?P<kind>env|file)=(?P<target>[^{}]+)\}")
MASK = "********"


class Secret:
    """Text whose ``str`` and ``repr`` are masked; `reveal` hands it to the one call that needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the clear text; call it only where the bytes leave for the peer they are meant for."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


def is_reference(text: str) -> bool:
    """Tell whether ``text`` is ``{env=NAME}`` or ``{file=PATH}`` rather than a literal."""
    return _REFERENCE.fullmatch(text) is not None


def resolve(text: str, *, where: str, environ: Optional[Mapping[str, str]] = None) -> Secret:
    """Return the secret that ``text`` refers to; a literal stands for itself.

    Only a whole value is a reference, so that a password with ``$`` or ``{`` in it stays as it is.

    Args:
        text: ``{env=NAME}``, ``{file=PATH}`` (first line of the file) or a literal.
        where: File, table and key, for the message.
        environ: Variables to look in; None means the process environment.

    Raises:
        ConfigError: The variable is unset or empty, or the file cannot be read or is empty.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return Secret(text)
    target = match["target"]
    if match["kind"] == "env":
        value = (os.environ if environ is None else environ).get(target, "")
        if not value:
            raise ConfigError(
                f"{where}: environment variable {target} is not set; set it, or use {{file=PATH}}"
            )
        return Secret(value)
    try:
        lines = Path(target).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{where}: secret file {target!r} cannot be read: {reason}") from None
    if not lines or not lines[0]:
        raise ConfigError(f"{where}: secret file {target!r} is empty; its first line is the secret")
    return Secret(lines[0])
