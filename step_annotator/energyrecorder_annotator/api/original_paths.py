"""Which paths are those of the original recorder's API, with and without its ``/resources``."""

from __future__ import annotations

PREFIX = "/resources"
_FIRST = ("/recorders/", "/equipments/", "/servers/", "/monitoring/", "/doc/")
_EXACT = frozenset({"/swagger.json", "/doc", PREFIX})


def is_original(path: str) -> bool:
    """Tell whether ``path`` belongs to the original API."""
    return path.startswith((PREFIX + "/", *_FIRST)) or path in _EXACT


def without_prefix(path: str) -> str:
    """Return ``path`` as the original API's routes know it."""
    return path.removeprefix(PREFIX) if path.startswith(PREFIX + "/") else path
