"""The lock-out guard: ≤ 2 refusals per BMC, then one an hour; ≤ 3 BMCs until a credential has succeeded."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret
from energyrecorder_execd.guard import LockoutGuard
from energyrecorder_execd.lockout import (
    HOURLY_S,
    MAX_UNPROVEN,
    SECOND_TRY_S,
    Claim,
    LockoutState,
    Pair,
    Verdict,
)
from energyrecorder_execd.lockout_file import LockoutFile
from energyrecorder_execd.readers.base import Target
from support.clock import Clock

A, B, C, D = (Pair(bmc, "lab") for bmc in "abcd")


def test_second_try_after_a_minute_then_one_an_hour():
    """And a success ends it."""
    state = LockoutState(proven={"lab"})
    assert state.decide(A, 0.0) is Verdict.GO
    state.refused(A, 0.0)
    assert state.decide(A, SECOND_TRY_S - 1) is Verdict.REFUSED
    assert state.decide(A, SECOND_TRY_S) is Verdict.GO
    state.refused(A, SECOND_TRY_S)
    assert state.decide(A, SECOND_TRY_S + HOURLY_S - 1) is Verdict.LOCKED
    assert state.decide(A, SECOND_TRY_S + HOURLY_S) is Verdict.GO
    state.refused(A, SECOND_TRY_S + HOURLY_S)
    assert state.decide(A, SECOND_TRY_S + HOURLY_S + SECOND_TRY_S) is Verdict.LOCKED
    state.accepted(A)
    assert state.decide(A, 0.0) is Verdict.GO


def test_another_credential_on_the_same_bmc_starts_anew():
    """That is what happens at once when the password is changed in the fleet file."""
    state = LockoutState()
    state.refused(A, 0.0)
    state.refused(A, 60.0)
    assert state.decide(Pair("a", "changed"), 61.0) is Verdict.GO


def test_three_bmcs_refuse_an_unproven_credential_then_all_others_wait():
    """Until it succeeds somewhere."""
    state = LockoutState()
    for pair in (A, B, C):
        state.refused(pair, 0.0)
    assert state.decide(D, 1e9) is Verdict.LOCKED
    assert state.decide(Pair("d", "other"), 0.0) is Verdict.GO
    state.accepted(A)
    assert state.decide(D, 0.0) is Verdict.GO
    assert state.decide(B, 0.0) is Verdict.REFUSED


def test_log_ins_under_way_count_as_possible_refusals():
    """Three at a time; the fourth waits for how they end, but not for ever."""
    state = LockoutState()
    for pair in (A, B, C):
        state.claim(pair, Claim(until_s=10.0, owner=1))
    assert state.decide(A, 0.0) is Verdict.WAIT
    assert state.decide(D, 0.0) is Verdict.WAIT
    state.undecided(B)
    assert state.decide(D, 0.0) is Verdict.GO
    assert state.decide(B, 11.0) is Verdict.GO


def test_a_wall_clock_set_back_does_not_lock_for_longer():
    """The hour counts from the moment the guard sees the new time."""
    state = LockoutState(proven={"lab"})
    state.refused(A, 1e6)
    state.refused(A, 1e6)
    assert state.decide(A, 1000.0) is Verdict.LOCKED
    assert state.decide(A, 1000.0 + HOURLY_S) is Verdict.GO


class WrongPassword(RuleBasedStateMachine):
    """A shared password that is wrong everywhere: BMCs are polled in any order, time passes."""

    def __init__(self):
        super().__init__()
        self.state = LockoutState()
        self.now = 0.0
        self.open = {}
        self.refusals = {}

    @rule(number=st.integers(0, 59), owner=st.integers(1, 2))
    def log_in(self, number, owner):
        pair = Pair(f"bmc-{number}", "lab")
        if self.state.decide(pair, self.now) is Verdict.GO:
            assert pair not in self.open
            self.state.claim(pair, Claim(self.now + 1e9, owner))
            self.open[pair] = owner

    @precondition(lambda self: self.open)
    @rule(data=st.data(), refuses=st.booleans())
    def answer(self, data, refuses):
        pair = data.draw(st.sampled_from(sorted(self.open, key=lambda known: known.bmc)))
        del self.open[pair]
        if refuses:
            self.state.refused(pair, self.now)
            self.refusals.setdefault(pair.bmc, []).append(self.now)
        else:
            self.state.undecided(pair)

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 3601.0]))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def few_refusals(self):
        assert len(self.refusals) <= MAX_UNPROVEN
        for moments in self.refusals.values():
            gaps = [later - earlier for earlier, later in pairwise(moments)]
            assert all(gap >= SECOND_TRY_S for gap in gaps)
            assert all(gap >= HOURLY_S for gap in gaps[1:])


WrongPassword.TestCase.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
TestWrongPassword = WrongPassword.TestCase


def _target(password="sikrit", user="monitor", **options):
    return Target("a", "10.0.0.1", None, "https", user, Secret(password), options=options)


def test_the_file_keeps_counts_across_restarts_and_tells_no_secret(tmp_path):
    """Mode 0600, no password in it, the same credential is known again, a changed one is another."""
    first = LockoutFile(tmp_path)
    credential = first.credential(_target())
    with first.change() as state:
        state.refused(Pair("a", credential), 5.0)
        state.accepted(Pair("b", "other"))
    path = tmp_path / "lockouts.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "sikrit" not in path.read_text()
    second = LockoutFile(tmp_path)
    assert second.credential(_target()) == credential
    assert second.current().refusals[Pair("a", credential)].count == 1
    assert second.current().proven == {"other"}
    others = {second.credential(_target("sikrit2")), second.credential(_target(user="root"))}
    others.add(second.credential(_target(kg=Secret("k"))))
    assert len(others | {credential}) == 4


def test_processes_see_each_others_changes(tmp_path):
    """Two collectors of one state directory share the counts."""
    first, second = LockoutFile(tmp_path), LockoutFile(tmp_path)
    with first.change() as state:
        state.refused(A, 5.0)
    assert second.current().refusals[A].count == 1
    with second.change() as state:
        state.accepted(A)
    assert not first.current().refusals


def test_claims_of_processes_that_are_no_more_are_dropped(tmp_path):
    """A kill in mid log-in blocks nobody; a process at work keeps its claim."""
    file = LockoutFile(tmp_path)
    with file.change() as state:
        state.claim(A, Claim(1e12, os.getpid()))
        state.claim(B, Claim(1e12, 2**22 + 1))
        state.claim(C, Claim(1e12, os.getppid()))
    assert set(LockoutFile(tmp_path).current().claims) == {C}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"salt": 5}', '{"refusals": [[1]]}', '{"proven": 3}'])
def test_a_broken_file_is_no_reason_not_to_start(tmp_path, text):
    """It is begun anew, and can be written again."""
    (tmp_path / "lockouts.json").write_text(text)
    file = LockoutFile(tmp_path)
    with file.change() as state:
        state.refused(A, 1.0)
    assert LockoutFile(tmp_path).current().refusals[A].count == 1
    assert json.loads((tmp_path / "lockouts.json").read_text())["salt"]


async def test_sixty_bmcs_with_a_wrong_password_at_the_same_time(tmp_path):
    """Three of them are asked; the others wait for the outcome and then are told that they are locked."""
    guard = LockoutGuard(LockoutFile(tmp_path), Clock())
    asked = []

    async def poll(number):
        pair = Pair(f"bmc-{number}", "lab")
        verdict = await guard.admit(pair, 8.0)
        if verdict is Verdict.GO:
            asked.append(number)
            await asyncio.sleep(0.001)
            guard.refused(pair)
        return verdict

    async with asyncio.timeout(60):
        verdicts = await asyncio.gather(*(poll(number) for number in range(60)))
    assert len(asked) == 3
    assert verdicts.count(Verdict.LOCKED) == 57


async def test_a_success_lets_all_others_go_at_once(tmp_path, monkeypatch):
    """Nobody waits for a tick, nor for one another."""
    monkeypatch.setattr("energyrecorder_execd.guard._LOOK_AGAIN_S", 3600.0)
    guard = LockoutGuard(LockoutFile(tmp_path), Clock())
    under_way: set[int] = set()
    all_under_way = asyncio.Event()

    async def poll(number):
        pair = Pair(f"bmc-{number}", "lab")
        assert await guard.admit(pair, 8.0) is Verdict.GO
        under_way.add(number)
        if len(under_way) == 60:
            all_under_way.set()
        if number:  # the first one answers, all others wait for the last one
            await all_under_way.wait()
        guard.accepted(pair)

    async with asyncio.timeout(60):
        await asyncio.gather(*(poll(number) for number in range(60)))


async def test_one_hung_bmc_among_many_blocks_nobody(tmp_path, monkeypatch):
    """The others prove the credential meanwhile."""
    monkeypatch.setattr("energyrecorder_execd.guard._LOOK_AGAIN_S", 3600.0)
    guard = LockoutGuard(LockoutFile(tmp_path), Clock())
    assert await guard.admit(A, 8.0) is Verdict.GO  # never answers
    assert await guard.admit(B, 8.0) is Verdict.GO
    guard.accepted(B)
    async with asyncio.timeout(60):
        assert await guard.admit(D, 8.0) is Verdict.GO


async def test_ten_restarts_give_no_more_refusals(tmp_path):
    """The count survives: two refusals per BMC, six in all, within the hour."""
    clock = Clock()
    refusals = {}
    for _ in range(10):
        guard = LockoutGuard(LockoutFile(tmp_path), clock)
        for number in range(60):
            pair = Pair(f"bmc-{number}", "lab")
            if await guard.admit(pair, 8.0) is Verdict.GO:
                guard.refused(pair)
                refusals[number] = refusals.get(number, 0) + 1
        clock.pass_s(61)
    assert refusals == {0: 2, 1: 2, 2: 2}


async def test_log_ins_that_began_before_the_credential_was_proven_end_their_claims(tmp_path, monkeypatch):
    """Else a BMC would wait for itself at its next poll."""
    monkeypatch.setattr("energyrecorder_execd.guard._LOOK_AGAIN_S", 3600.0)
    guard = LockoutGuard(LockoutFile(tmp_path), Clock())
    for pair in (A, B, C):
        assert await guard.admit(pair, 8.0) is Verdict.GO
    guard.accepted(A)
    guard.accepted(B)
    guard.undecided(C)
    async with asyncio.timeout(60):
        for pair in (A, B, C):
            assert await guard.admit(pair, 8.0) is Verdict.GO


@pytest.mark.parametrize("begun", [False, True])
async def test_a_disk_that_takes_nothing_loosens_no_rule(tmp_path, monkeypatch, caplog, begun):
    """The counts live on in the process; the fault is logged once."""

    def full(*_):
        raise OSError(28, "No space left on device")

    if begun:
        LockoutFile(tmp_path)
    monkeypatch.setattr("energyrecorder_execd.lockout_file.write_private", full)
    guard = LockoutGuard(LockoutFile(tmp_path), Clock())
    assert await guard.admit(A, 8.0) is Verdict.GO
    guard.refused(A)
    assert await guard.admit(A, 8.0) is Verdict.REFUSED
    for pair in (B, C):
        assert await guard.admit(pair, 8.0) is Verdict.GO
        guard.refused(pair)
    assert await guard.admit(D, 8.0) is Verdict.LOCKED
    assert len(caplog.records) == 1


def test_a_file_that_cannot_be_read_just_now_loosens_no_rule(tmp_path, monkeypatch, caplog):
    """What is known holds, told once; at the start it is a mistake."""
    file, other = LockoutFile(tmp_path), LockoutFile(tmp_path)
    with file.change() as state:
        state.refused(A, 5.0)
    with other.change() as state:
        state.refused(B, 6.0)
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.read_text", lambda *_, **__: (_ for _ in ()).throw(OSError(24, "full")))
        assert set(file.current().refusals) == set(file.current().refusals) == {A}
        assert len(caplog.records) == 1
        with pytest.raises(ConfigError, match="cannot be read: full"):
            LockoutFile(tmp_path)
    assert set(file.current().refusals) == {A, B}


def test_removing_the_file_unlocks(tmp_path):
    """What a person may do by hand acts at once."""
    file = LockoutFile(tmp_path)
    with file.change() as state:
        state.refused(A, 5.0)
    (tmp_path / "lockouts.json").unlink()
    assert not file.current().refusals


async def test_steady_state_writes_nothing(tmp_path):
    """A credential that is proven costs no file access but a look at the time stamp."""
    guard = LockoutGuard(LockoutFile(tmp_path), Clock())
    await guard.admit(A, 8.0)
    guard.accepted(A)
    before = (tmp_path / "lockouts.json").stat()
    for _ in range(100):
        assert await guard.admit(A, 8.0) is Verdict.GO
        guard.accepted(A)
    after = (tmp_path / "lockouts.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@given(st.text(min_size=1), st.text() | st.just("\udcff"))
def test_any_password_has_a_credential(tmp_path_factory, user, password):
    """Also one of bytes that are no UTF-8, as the environment may hold."""
    file = LockoutFile(tmp_path_factory.mktemp("lockouts"))
    assert file.credential(_target(password, user)).startswith(user)
