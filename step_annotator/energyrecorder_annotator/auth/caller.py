"""Who a request comes from and what that caller may do."""

from __future__ import annotations

from dataclasses import dataclass

from energyrecorder_annotator.envs import matches

READ = "read"
WRITE = "write"
ADMIN = "admin"
SCOPES = (READ, WRITE, ADMIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller that has been told apart from strangers.

    Args:
        name: For logs and limits.
        scopes: Some of `SCOPES`; ``admin`` includes the others.
        envs: Globs of the environments that may be read and written; None means all.
    """

    name: str
    scopes: frozenset[str] = frozenset(SCOPES)
    envs: tuple[str, ...] | None = None

    def may(self, scope: str) -> bool:
        """Tell whether the caller has ``scope``."""
        return scope in self.scopes or ADMIN in self.scopes

    def may_use(self, env: str) -> bool:
        """Tell whether the caller may read and write ``env``."""
        return matches(env, self.envs)


ANYBODY = Caller(name="anybody")
"""Stands for every caller where no token is asked for."""
