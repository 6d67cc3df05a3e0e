"""A resource for which the BMC asked for time is left alone until that is over."""

import pytest

from energyrecorder.errors import BmcUnreachableError
from energyrecorder_execd.backoff import MAX_RETRY_AFTER_S
from energyrecorder_execd.readers.redfish.waits import Waits
from support.clock import Clock

POWER = "/redfish/v1/Chassis/1/Power"


def busy(retry_after_s):
    error = BmcUnreachableError("busy", reason="busy")
    error.retry_after_s = retry_after_s
    return error


@pytest.mark.parametrize(
    ("asked_s", "later_s", "waits"),
    [
        (30, 0, True),
        (30, 29, True),
        (30, 30, False),
        (10 * MAX_RETRY_AFTER_S, MAX_RETRY_AFTER_S - 1, True),
        (10 * MAX_RETRY_AFTER_S, MAX_RETRY_AFTER_S, False),
        (30, -10 * MAX_RETRY_AFTER_S, False),  # the clock was set back
        (None, 0, False),
    ],
)
def test_it_waits_as_long_as_was_asked_for_and_never_too_long(asked_s, later_s, waits):
    clock = Clock()
    found = Waits(clock)
    error = busy(asked_s)
    found.note({POWER: error})
    clock.pass_s(later_s)
    assert found.running() == ({POWER: error} if waits else {})


def test_a_wait_that_runs_is_not_made_longer():
    clock = Clock()
    found = Waits(clock)
    found.note({POWER: busy(30)})
    clock.pass_s(20)
    found.note({POWER: busy(30)})
    clock.pass_s(10)
    assert found.running() == {}
