"""How long to wait before the next try."""

from __future__ import annotations

import random

FIRST_S = 1.0


def pause_s(failures: int, *, most_s: float, retry_after_s: float | None = None) -> float:
    """Return the pause after so many failures in a row: doubling, bounded, and spread by chance.

    Without chance all annotators of a site would come back to a restarted server at the same moment.

    Args:
        failures: At least 1.
        most_s: Longest pause.
        retry_after_s: Pause that the server asked for, kept to at least; None if it did not.
    """
    doubled_s = min(most_s, FIRST_S * 2.0 ** min(failures - 1, 30))
    spread_s = doubled_s * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
    return max(spread_s, retry_after_s or 0.0)
