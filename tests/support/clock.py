"""A clock that only moves when the test says so."""

from __future__ import annotations


class Clock:
    """Nanoseconds since the Unix epoch, UTC.

    Args:
        now_ns: Where it stands.
    """

    def __init__(self, now_ns: int = 1_700_000_000 * 10**9) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        """Move it, back if negative."""
        self.now_ns += round(seconds * 10**9)
