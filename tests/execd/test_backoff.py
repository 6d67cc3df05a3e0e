"""A BMC that fails is left alone for longer and longer, and never for too long."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder import schema
from energyrecorder_execd.backoff import LONGEST_PAUSE_S, MAX_RETRY_AFTER_S, Backoff


def _pause(backoff, now=1000.0):
    """Return the pause in steps of 10 ms."""
    return next(step / 100 for step in range(200_000) if backoff.ready(now + step / 100))


def test_pauses_double_up_to_the_longest_and_a_success_ends_them():
    """1 s, 2 s, 4 s … with a fifth of jitter."""
    backoff = Backoff(random.Random(1))
    seen = []
    for _ in range(12):
        backoff.failed("busy", 1000.0)
        seen.append(_pause(backoff))
    wanted = [min(60.0, 2.0**step) for step in range(12)]
    assert all(
        0.8 * want - 0.02 <= pause <= 1.2 * want + 0.02 for pause, want in zip(seen, wanted, strict=True)
    )
    backoff.succeeded()
    assert backoff.ready(1000.0)
    backoff.failed("busy", 1000.0)
    assert _pause(backoff) <= 1.21


@pytest.mark.parametrize("reason", ["timeout", "unreachable"])
def test_a_bmc_that_comes_back_is_read_again_within_seconds(reason):
    """However long it was away."""
    backoff = Backoff(random.Random(2))
    for _ in range(1000):
        backoff.failed(reason, 1000.0)
    assert _pause(backoff) <= 6.0


def test_another_reason_begins_anew():
    """A BMC that was away for long and is busy while it starts is asked again after a second."""
    backoff = Backoff(random.Random(5))
    for _ in range(50):
        backoff.failed("unreachable", 1000.0)
    backoff.failed("busy", 1000.0)
    assert _pause(backoff) <= 1.21


@pytest.mark.parametrize("reason", ["no_reading", "data", "auth", "locked"])
def test_reasons_without_a_pause(reason):
    """A host that restarts, and what the lock-out guard times by itself."""
    backoff = Backoff(random.Random(3))
    backoff.failed(reason, 1000.0)
    assert backoff.ready(1000.0)


def test_what_the_bmc_asks_for_is_honoured_within_reason():
    """`Retry-After`, at most 15 minutes of it."""
    backoff = Backoff(random.Random(4))
    backoff.failed("busy", 1000.0, retry_after_s=30.0)
    assert not backoff.ready(1029.9)
    assert backoff.ready(1030.0)
    backoff.failed("busy", 1000.0, retry_after_s=86400.0)
    assert backoff.ready(1000.0 + MAX_RETRY_AFTER_S)


@given(st.lists(st.tuples(st.sampled_from(schema.ERRORS), st.floats(0, 1e5)), max_size=60), st.integers())
def test_no_history_pauses_longer_than_its_last_reason_allows(history, seed):
    """Whatever went before."""
    backoff = Backoff(random.Random(seed))
    now = 0.0
    for reason, passed in history:
        now += passed
        backoff.failed(reason, now)
        assert backoff.ready(now + 1.2 * LONGEST_PAUSE_S.get(reason, 0.0) + 1e-6)


def test_the_table_names_known_reasons_only():
    """A typing mistake would switch a pause off."""
    assert set(LONGEST_PAUSE_S) <= set(schema.ERRORS)
