"""What is learned of a BMC's readings: its period where there is one to be seen, else nothing."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.learning import Learned, as_facts, from_facts, observed
from energyrecorder_execd.readers.redfish import RedfishReader
from support.fake_http import FakeHttp

START_S = 1_700_000_000.0
CASE = Path(__file__).parents[1] / "testcases/redfish/dell-r750-idrac9-6.00/responses.json"


def _learned(value_at, *, every_s=10.0, polls=400, jitter_s=0.3, seed=1):
    rng = random.Random(seed)
    known = Learned()
    for index in range(polls):
        at_s = START_S + index * every_s + rng.uniform(0, jitter_s)
        known = observed(known, watts=value_at(at_s - START_S), at_s=at_s)
    return known


def _renewed(period_s, *, quantum_w=1.0, spread_w=30.0, seed=3):
    """Return a reading that is renewed every ``period_s`` and equal by chance now and then."""

    def watts(second):
        rng = random.Random(seed + int(second // period_s))
        return round((300 + rng.uniform(-spread_w, spread_w)) / quantum_w) * quantum_w

    return watts


@pytest.mark.parametrize("period_s", [20, 30, 45, 60])
def test_a_period_longer_than_two_polls_is_learned(period_s):
    """Within a tenth, or a poll in the length of one period."""
    known = _learned(_renewed(period_s), polls=period_s * 8)
    assert known.refresh_s == pytest.approx(period_s, rel=0.1)


@pytest.mark.parametrize("period_s", [0.5, 5, 10, 13])
def test_a_period_that_polling_cannot_see_stays_unknown(period_s):
    """Rather than be taken for the poll interval."""
    assert _learned(_renewed(period_s)).refresh_s is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.1, 0.2, 0.3, 0.5, 0.8]))
def test_a_value_that_changes_now_and_then_has_no_period(seed, chance):
    """An idle server shows the same watt for a while: that says nothing of its BMC."""
    rng = random.Random(seed)
    watts = [97.0]
    for _ in range(1500):
        watts.append(watts[-1] + rng.choice([-1, 1]) if rng.random() < chance else watts[-1])
    assert _learned(lambda s: watts[int(s // 10)], polls=1500).refresh_s is None


def test_a_constant_value_teaches_nothing():
    known = _learned(lambda _: 212.0)
    assert (known.refresh_s, known.quantum_w) == (None, None)


def test_an_outage_is_no_interval():
    """Neither is a clock that was set."""
    known = observed(Learned(), watts=1, at_s=START_S)
    known = observed(known, watts=2, at_s=START_S + 10)
    known = observed(known, watts=3, at_s=START_S + 5000)
    known = observed(known, watts=4, at_s=START_S + 10)
    assert known.intervals_s == ()
    assert known.polls_s == (10.0,)


@pytest.mark.parametrize("quantum_w", [0.25, 1.0, 4.0, 10.0, 39.0])
def test_the_step_of_the_readings(quantum_w):
    """10 W of a Lenovo sensor, 39 W of the supplies of a DGX H100."""
    known = _learned(_renewed(30, quantum_w=quantum_w, spread_w=20 * quantum_w), polls=600)
    assert known.quantum_w == quantum_w


def test_what_was_learned_survives_a_restart():
    """And a damaged state file teaches nothing."""
    known = _learned(_renewed(30), polls=300)
    again = from_facts(json.loads(json.dumps(as_facts(known))))
    assert (again.refresh_s, again.quantum_w) == (known.refresh_s, known.quantum_w)
    assert again.refresh_s is not None
    # Until there is enough new evidence, what was known stands.
    again = observed(observed(again, watts=300, at_s=START_S), watts=301, at_s=START_S + 10)
    assert again.refresh_s == known.refresh_s
    for damaged in (None, [], {}, {"values": 3, "divisor": 1}, {"values": [], "divisor": True}):
        assert from_facts(damaged) == Learned()
    assert from_facts({"values": [1, "x"], "divisor": 2, "refresh_s": "y"}).refresh_s is None


class Renewing(FakeHttp):
    """A Dell whose power is renewed every 30 s in steps of 4 W, by the test's clock."""

    now_s = START_S

    async def get(self, path, *, anonymous=False):
        answer = await super().get(path, anonymous=anonymous)
        if path.endswith("/Power"):
            watts = _renewed(30, quantum_w=4.0, spread_w=60)(self.now_s - START_S)
            control = {**answer.document["PowerControl"][0], "PowerConsumedWatts": watts}
            answer = replace(answer, document={**answer.document, "PowerControl": [control]})
        now_ns = int(self.now_s * 1e9)
        return replace(answer, sent_ns=now_ns, received_ns=now_ns)


def _reader_of(http, facts):
    target = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))
    context = Context(Memory(facts), lambda: int(http.now_s * 1e9))
    reader = RedfishReader(target, context, HttpClients())
    reader._http = http
    return reader


async def test_a_reader_tells_what_it_learned():
    """The reading carries period and step, `server_info` says that they were learned; so after a restart."""
    http, facts, infos = Renewing(json.loads(CASE.read_text(encoding="utf-8"))), {}, []
    reader = _reader_of(http, facts)
    for _ in range(200):
        http.now_s += 10
        poll = await reader.poll()
        infos += [] if poll.info is None else [poll.info]
    (value,) = poll.readings
    assert (value.refresh_s, value.quantum_w) == (pytest.approx(30, rel=0.05), 4.0)
    assert (infos[0].refresh_from, infos[-1].refresh_from) == (None, "learned")
    assert infos[-1].refresh_s == pytest.approx(30, rel=0.05)
    # A period that wobbles in its last digit is no news.
    assert len(infos) < 12
    reader = _reader_of(http, json.loads(json.dumps(facts)))
    http.now_s += 10
    poll = await reader.poll()
    assert (poll.readings[0].refresh_s, poll.readings[0].quantum_w) == (value.refresh_s, 4.0)
    assert poll.info.refresh_from == "learned"
