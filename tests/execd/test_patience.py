"""How long a poll of one BMC may take, learned from how long its polls take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_execd.patience import MOST, POLLS, Patience


def _after_time_outs(patience, count):
    deadlines = []
    for _ in range(count):
        patience.timed_out()
        deadlines.append(patience.deadline_s)
    return deadlines


def test_a_first_poll_gets_twice_the_time_after_each_time_out():
    """It has more to ask than later ones."""
    patience = Patience(8.0)
    assert patience.deadline_s == 8.0
    assert _after_time_outs(patience, 4) == [16.0, 32.0, 32.0, 32.0]


def test_a_fast_bmc_keeps_the_deadline_of_the_fleet_file():
    """A rediscovery may take longer than the polls before it: the deadline is never shortened."""
    patience = Patience(8.0)
    patience.answered(0.05)
    assert patience.deadline_s == 8.0


def test_a_slow_bmc_gets_twice_what_it_needs():
    """The slowest of the recent polls counts, and is forgotten after some fast ones."""
    patience = Patience(8.0)
    patience.answered(7.5)
    assert patience.deadline_s == 15.0
    for _ in range(POLLS):
        patience.answered(1.0)
    assert patience.deadline_s == 8.0


def test_a_bmc_that_fell_silent_gets_more_time_with_every_second_poll():
    """A dead one costs little in between; one that became slow is read, and then keeps its time."""
    patience = Patience(8.0)
    patience.answered(0.5)
    assert _after_time_outs(patience, 6) == [8.0, 16.0, 8.0, 32.0, 8.0, 32.0]
    patience.answered(14.0)
    assert patience.deadline_s == 28.0


def test_another_failure_shows_that_the_bmc_is_there():
    """A refusal ends the patience with a silent BMC."""
    patience = Patience(8.0)
    patience.answered(0.5)
    _after_time_outs(patience, 4)
    patience.failed()
    assert patience.deadline_s == 8.0


@given(
    timeout_s=st.floats(0.1, 300.0),
    events=st.lists(st.one_of(st.none(), st.just("failed"), st.floats(0.0, 1e4)), max_size=60),
)
def test_the_deadline_stays_between_once_and_four_times(timeout_s, events):
    """Whatever happens."""
    patience = Patience(timeout_s)
    for event in events:
        if event is None:
            patience.timed_out()
        elif event == "failed":
            patience.failed()
        else:
            patience.answered(event)
        assert timeout_s <= patience.deadline_s <= MOST * timeout_s
