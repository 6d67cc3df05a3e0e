"""Names of environments: aliases for what callers call them, and patterns of those a caller may use."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def aliased(env: str, aliases: Sequence[tuple[str, str]]) -> str:
    """Return the environment that ``env`` stands for.

    Args:
        env: As the caller named it.
        aliases: (glob, environment), the first match counts.
    """
    for pattern, name in aliases:
        if fnmatchcase(env, pattern):
            return name
    return env


def matches(env: str, patterns: Sequence[str] | None) -> bool:
    """Tell whether ``env`` matches one of the globs; None stands for all environments."""
    return patterns is None or any(fnmatchcase(env, pattern) for pattern in patterns)
