"""When an event happened by our clock, from the client's clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.clock import Instant
from energyrecorder_annotator.clocks import (
    CLOCK_OFF,
    DEFAULT_ERROR_NS,
    IN_FUTURE,
    REBOOT_ERROR_NS,
    REBOOTED,
    Stamp,
    least_apart_s,
    offset_by_date_s,
    server_time,
)

SECOND = 1_000_000_000
T0 = 1_800_000_000 * SECOND


class Machine:
    """A client whose wall clock is off and may step; ``now`` takes true time since T0 in seconds."""

    def __init__(self, off_s=0.0, boot_id="boot-1", boot_s=1000.0):
        self.off_s = off_s
        self.boot_id = boot_id
        self.boot_s = boot_s

    def now(self, true_s):
        return Instant(
            wall_ns=T0 + round((true_s + self.off_s) * SECOND),
            boot_ns=round((true_s + self.boot_s) * SECOND),
            boot_id=self.boot_id,
        )


def true_ns(true_s):
    return T0 + round(true_s * SECOND)


@pytest.mark.parametrize("off_s", [-5.0, 0.0, 5.0, -300.0])
def test_a_client_whose_clock_is_off_is_placed_right(off_s):
    client = Machine(off_s)
    time = server_time(Stamp(at=client.now(10.0), now=client.now(12.0)), true_ns(12.01))
    assert abs(time.t_ns - true_ns(10.0)) <= 0.3 * SECOND
    assert time.flags == ()
    assert time.error_ns == DEFAULT_ERROR_NS


def test_a_clock_that_steps_between_event_and_request_does_not_matter():
    client = Machine(0.0)
    at = client.now(10.0)
    client.off_s = 120.0
    time = server_time(Stamp(at=at, now=client.now(3610.0)), true_ns(3610.02))
    assert abs(time.t_ns - true_ns(10.0)) <= 0.3 * SECOND
    assert time.flags == ()


def test_a_replay_after_a_reboot_uses_the_offset_of_then_and_is_flagged():
    client = Machine(5.0)
    at = client.now(10.0)
    rebooted = Machine(0.0, boot_id="boot-2", boot_s=20.0)
    stamp = Stamp(at=at, now=rebooted.now(3600.0), offset_ns=-5 * SECOND, offset_error_ns=2_000_000)
    time = server_time(stamp, true_ns(3600.01))
    assert abs(time.t_ns - true_ns(10.0)) <= 0.3 * SECOND
    assert time.flags == (REBOOTED,)
    assert time.error_ns >= REBOOT_ERROR_NS


def test_a_replay_after_a_reboot_without_offset_takes_what_the_request_shows():
    client = Machine(5.0)
    rebooted = Machine(5.0, boot_id="boot-2")
    time = server_time(Stamp(at=client.now(10.0), now=rebooted.now(3600.0)), true_ns(3600.01))
    assert abs(time.t_ns - true_ns(10.0)) <= 0.3 * SECOND
    assert time.flags == (REBOOTED,)


def test_a_system_without_boot_id_is_treated_like_another_boot():
    client = Machine(boot_id=None)
    time = server_time(Stamp(at=client.now(1.0), now=client.now(2.0)), true_ns(2.0))
    assert time.flags == (REBOOTED,)
    assert time.error_ns >= REBOOT_ERROR_NS


def test_the_error_is_what_the_client_measured_if_it_did():
    client = Machine()
    stamp = Stamp(at=client.now(1.0), now=client.now(1.0), offset_error_ns=700_000)
    assert server_time(stamp, true_ns(1.0)).error_ns == 700_000


def test_a_clock_ten_minutes_off_is_flagged_and_taken():
    client = Machine(off_s=601.0)
    time = server_time(Stamp(at=client.now(1.0), now=client.now(1.5)), true_ns(1.5))
    assert time.flags == (CLOCK_OFF,)
    assert time.t_ns == true_ns(1.0)


def test_without_any_time_the_arrival_counts():
    assert server_time(Stamp(), T0).t_ns == T0


def test_a_plain_time_counts_when_there_is_no_instant():
    assert server_time(Stamp(explicit_ns=T0 - 5), T0).t_ns == T0 - 5


def test_an_event_in_the_future_is_flagged():
    assert IN_FUTURE in server_time(Stamp(explicit_ns=T0 + 10 * SECOND), T0).flags


def test_replays_of_one_event_make_the_same_claim_whatever_the_request():
    client = Machine()
    at = client.now(1.0)
    assert Stamp(at=at, now=client.now(2.0)).claim == Stamp(at=at, now=client.now(900.0), offset_ns=3).claim
    assert Stamp(at=at).claim != Stamp(at=client.now(1.1)).claim
    assert Stamp().claim == ""


@given(
    off_s=st.floats(-1e6, 1e6),
    step_s=st.floats(-1e6, 1e6),
    waited_s=st.floats(0, 1e6),
    latency_s=st.floats(0, 0.2),
)
def test_within_one_boot_the_edge_is_off_by_no_more_than_the_latency(off_s, step_s, waited_s, latency_s):
    client = Machine(off_s)
    at = client.now(0.0)
    client.off_s += step_s
    time = server_time(Stamp(at=at, now=client.now(waited_s)), true_ns(waited_s + latency_s))
    assert -2 <= time.t_ns - T0 <= (latency_s + 1e-6) * SECOND


@pytest.mark.parametrize(
    ("offset_s", "round_trip_s", "expected_s"),
    [(5.0, 0.2, 4.9), (-5.0, 0.2, -4.9), (0.4, 2.0, 0.0), (-0.4, 2.0, 0.0), (3.0, 0.0, 3.0)],
)
def test_clocks_are_apart_by_no_more_than_a_slow_exchange_can_explain(offset_s, round_trip_s, expected_s):
    assert least_apart_s(offset_s, round_trip_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("date", "offset_s"),
    [
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.3),
        ("Tue, 14 Nov 2023 22:13:19 GMT", -0.5),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_date_header_tells_how_far_a_clock_is_off_at_least(date, offset_s):
    """Asked at 22:13:20, answered 0.2 s later; the header has lost half a second on average."""
    sent_ns = 1_700_000_000 * SECOND
    found_s = offset_by_date_s(date, sent_ns, sent_ns + SECOND // 5)
    assert found_s == (None if offset_s is None else pytest.approx(offset_s))
