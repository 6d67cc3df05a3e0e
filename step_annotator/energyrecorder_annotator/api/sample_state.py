"""What the start answer says of the samples a step will need: how old, and what to worry about."""

from __future__ import annotations

from typing import Any

from energyrecorder_analysis.timestamp import LEAST_NS
from energyrecorder_annotator.expected import LOOK_BACK_NS, expected_servers
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.samples.freshness import Freshness

STALE_NS = 60 * 1_000_000_000
AHEAD_NS = 10 * 1_000_000_000
"""Samples further in the future come of a wrong clock: steps would get the energy of other moments."""
_MOST_NAMES = 5


def sample_state(step: Step, freshness: Freshness, now_ns: int) -> dict[str, Any]:
    """Return ``servers`` (how many), ``last_sample_age_s`` and ``warnings`` for a step.

    Args:
        step: The step.
        freshness: What is newest of each server.
        now_ns: Our wall clock.
    """
    fresh = freshness.servers(step.env, now_ns - LOOK_BACK_NS)
    expected = expected_servers(step.servers, fresh)
    sampled = {server: fresh[server].sample_ns for server in expected.servers if server in fresh}
    newest_ns = max(sampled.values(), default=0)
    warnings = []
    if step.start_ns < LEAST_NS:
        warnings.append("it starts in the seventies: times are nanoseconds, or ISO 8601 with a zone")
    if not fresh:
        warnings.append(f"environment {step.env!r} is unknown: no server has reported in it for an hour")
    elif expected.unmatched:
        warnings.append(f"no server of {step.env!r} matches {_names(expected.unmatched)}")
    silent = [server for server in expected.servers if sampled.get(server, 0) < now_ns - STALE_NS]
    if fresh and silent:
        warnings.append(f"no sample for 60 s from {_names(silent)}")
    ahead = [server for server, sample_ns in sampled.items() if sample_ns > now_ns + AHEAD_NS]
    if ahead:
        warnings.append(f"samples of {_names(ahead)} are ahead of this service's clock: see doctor")
    return {
        "servers": len(expected.servers),
        "last_sample_age_s": max(0, now_ns - newest_ns) / 1e9 if newest_ns else None,
        "warnings": warnings,
    }


def _names(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, names[:_MOST_NAMES]))
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"
