"""When results are computed, from what, and when again; the clock is ours."""

from itertools import pairwise

import pytest

from energyrecorder_annotator.expected import Expected, expected_servers
from energyrecorder_annotator.intake import FLUSH_S
from energyrecorder_annotator.journal.base import Look, StepQuery
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.overlap import rivals_of
from energyrecorder_annotator.results import TICK_S, following_look
from energyrecorder_annotator.samples.base import Batch, BmcPoll
from support.results import T0, Bench
from support.steps import SECOND, start, stop


@pytest.fixture
def bench(tmp_path):
    one = Bench(tmp_path)
    yield one
    one.journal.close()
    one.samples.close()


def test_a_result_comes_as_soon_as_every_server_covers_the_end(bench):
    bench.power("n1", T0, T0 + 170)
    bench.power("n2", T0, T0 + 160)
    bench.step()
    assert bench.tick_at(T0 + 170) == 0
    bench.power("n2", T0 + 160, T0 + 163)
    assert bench.tick_at(T0 + 170.5) == 1
    result = bench.result()
    assert result["quality"] == "resolved"
    assert result["energy_j"] == pytest.approx(2 * 100 * 60, abs=result["u95_j"])
    assert set(result["per_server"]) == {"n1", "n2"}
    assert (result["servers"], result["expected"]) == (2, 2)


@pytest.mark.parametrize("window_s", [0.5, 1.0, 5.0, 10.0])
@pytest.mark.parametrize("phase", [0.01, 0.5, 0.99])
def test_a_result_is_there_two_windows_and_5_s_after_the_end_at_the_latest(bench, window_s, phase):
    """Readings come at their time and a little; we look as often as the service does."""
    began, ended = T0 + 100, T0 + 160
    bench.take(start("r", began), stop("r", ended))
    next_s = T0 + phase * window_s
    now_s = float(ended)
    while True:
        while next_s + FLUSH_S <= now_s:
            bench.power("n1", next_s, next_s + window_s, every_s=window_s)
            next_s += window_s
        if bench.tick_at(now_s):
            break
        now_s += TICK_S
    assert now_s - ended <= 2 * window_s + 5
    assert bench.result()["coverage"] == pytest.approx(1.0)


def test_a_result_waits_two_minutes_for_a_silent_server_and_names_it(bench):
    bench.power("n1", T0, T0 + 300)
    bench.add(Batch(polls=[BmcPoll("pod1", "mute", (T0 + 90) * SECOND, False, "unknown", "timeout")]))
    bench.step()
    assert bench.tick_at(T0 + 160 + 119) == 0
    assert bench.tick_at(T0 + 160 + 120) == 1
    result = bench.result()
    assert result["quality"] != "resolved"
    assert "mute" in result["reason"]
    assert result["energy_j"] == pytest.approx(6000, abs=60)
    assert result["coverage"] == pytest.approx(0.5, abs=0.01)


def test_a_server_that_was_silent_for_an_hour_is_not_expected(bench):
    bench.power("n1", T0, T0 + 170)
    bench.add(Batch(polls=[BmcPoll("pod1", "old", (T0 + 100 - 3700) * SECOND, True, "on", "")]))
    bench.step()
    assert bench.tick_at(T0 + 170) == 1
    assert set(bench.result()["per_server"]) == {"n1"}


def test_servers_that_a_step_names_are_the_ones_that_count(bench):
    for server in ("n1", "n2", "x1"):
        bench.power(server, T0, T0 + 170)
    bench.step(servers=("n*", "named-but-mute"))
    bench.tick_at(T0 + 400)
    result = bench.result()
    assert set(result["per_server"]) == {"n1", "n2", "named-but-mute"}
    assert "named-but-mute" in result["reason"]


def test_a_glob_that_matches_nobody_is_told(bench):
    bench.power("n1", T0, T0 + 170)
    bench.step(servers=("n1", "gone-*"))
    bench.tick_at(T0 + 400)
    result = bench.result()
    assert result["quality"] == "coarse"
    assert "gone-*" in result["reason"]


def test_nobody_there_is_unresolvable_at_once_and_never_zero(bench):
    bench.step()
    assert bench.tick_at(T0 + 163) == 1
    result = bench.result()
    assert (result["quality"], result["energy_j"], result["u95_j"]) == ("unresolvable", None, None)


def test_readings_that_come_late_change_the_result_at_the_next_look(bench):
    bench.add(Batch(polls=[BmcPoll("pod1", "n1", (T0 + 90) * SECOND, False, "unknown", "timeout")]))
    bench.step()
    bench.tick_at(T0 + 290)
    assert bench.result()["energy_j"] is None
    bench.power("n1", T0, T0 + 200)
    assert bench.tick_at(T0 + 290 + 59) == 0
    assert bench.tick_at(T0 + 290 + 60) == 1
    assert bench.result()["quality"] == "resolved"


def test_a_look_that_finds_nothing_new_leaves_the_result_and_the_version(bench):
    bench.power("n1", T0, T0 + 400)
    bench.step()
    bench.tick_at(T0 + 300)
    before, version = bench.result(), bench.journal.step("r")[0].version
    assert bench.tick_at(T0 + 360) == 1
    assert bench.result() == before
    assert bench.journal.step("r")[0].version == version


def test_it_is_looked_at_again_after_1_5_30_minutes_and_a_day():
    look, due = Look("r", 0, 1000 * SECOND, "e"), []
    now_s = 1130
    while (look := following_look(look, now_s * SECOND)) is not None:
        due.append(look.due_ns / SECOND - 1130)
        now_s = look.due_ns / SECOND + 7  # looked at a little late: that does not add up
    assert due == [60, 300, 1800, 86400]


def test_a_stop_that_replaces_a_loss_makes_a_new_result(bench):
    bench.power("n1", T0, T0 + 400)
    bench.step(ended=T0 + 160)
    bench.tick_at(T0 + 170)
    bench.journal.submit(lambda t: t.put_steps([_with_end(t.step("r"), T0 + 200)])).result(60)
    assert bench.result() is None
    assert bench.tick_at(T0 + 300) == 1
    assert bench.result()["energy_j"] == pytest.approx(10_000, rel=0.02)


def _with_end(step, end_s):
    values = {name: getattr(step, name) for name in step.__slots__}
    return Step(**{**values, "end_ns": end_s * SECOND, "version": step.version + 1})


def test_steps_of_a_run_add_up_to_it(bench):
    bench.power("n1", T0, T0 + 150, 100.0)
    bench.power("n1", T0 + 150, T0 + 400, 300.0)
    bench.take(start("r", T0 + 100))
    edges = [T0 + 100, T0 + 130, T0 + 170, T0 + 200]
    for number, (began, ended) in enumerate(pairwise(edges)):
        bench.take(start(f"s{number}", began, step=f"s{number}", parent="r"), stop(f"s{number}", ended))
    bench.take(stop("r", edges[-1]))
    bench.tick_at(T0 + 300)
    parts = sum(bench.result(f"s{number}")["energy_j"] for number in range(3))
    assert parts == pytest.approx(bench.result()["energy_j"], rel=1e-9)


def test_one_step_that_cannot_be_computed_does_not_hold_up_the_others(bench, monkeypatch, caplog):
    bench.power("n1", T0, T0 + 400)
    bench.take(start("bad", T0 + 100, scenario="bad"), stop("bad", T0 + 150))
    bench.step()
    computed = bench.results._computed

    def fail_once(step, before, now_ns):
        if step.step_id == "bad":
            raise ZeroDivisionError("boom")
        return computed(step, before, now_ns)

    monkeypatch.setattr(bench.results, "_computed", fail_once)
    assert bench.tick_at(T0 + 300) == 2
    assert bench.result()["quality"] == "resolved"
    assert bench.result("bad")["quality"] == "unresolvable"
    assert "boom" in caplog.text
    monkeypatch.undo()
    bench.tick_at(T0 + 360)
    assert bench.result("bad")["quality"] == "resolved"


def test_expected_servers():
    seen = {"n1", "n2", "x"}
    assert expected_servers(None, seen) == Expected(("n1", "n2", "x"))
    assert expected_servers(("n*",), seen) == Expected(("n1", "n2"))
    assert expected_servers(("n1", "new"), seen) == Expected(("n1", "new"))
    assert expected_servers(("[ab]*", "x"), seen) == Expected(("x",), ("[ab]*",))
    assert expected_servers(None, ()) == Expected(())


def test_overlap_counts_others_on_the_same_servers_but_not_the_own_family():
    def step(step_id, parent=None, servers=None):
        return Step(step_id, "r", parent, "pod1", "s", None, servers=servers, start_ns=1, end_ns=9)

    mine = step("mine", parent="r", servers=("n1",))
    others = [
        step("r"),
        step("child", parent="mine"),
        step("grandchild", parent="child"),
        step("sibling", parent="r"),
        step("stranger", servers=("n[12]",)),
        step("elsewhere", servers=("n2",)),
    ]
    rivals = rivals_of(mine, others, Expected(("n1",)), {"n1", "n2"})
    assert [one.servers for one in rivals] == [frozenset({"n1"})] * 2


def test_steps_that_overlap_share_the_energy_and_each_keeps_its_gross(bench):
    """Two runs on n1, the second in the last half of the first, with a step of its own."""
    for server in ("n1", "n2"):
        bench.power(server, T0, T0 + 300)
    bench.take(
        start("a", T0 + 100, scenario="a"),
        start("b", T0 + 130, scenario="b", servers=("n1",)),
        start("b1", T0 + 130, scenario="b", step="x", parent="b"),
        stop("b1", T0 + 160),
        stop("b", T0 + 160),
        stop("a", T0 + 160),
    )
    bench.tick_at(T0 + 170)
    one, other, nested = bench.result("a"), bench.result("b"), bench.result("b1")
    assert one["energy_j"] == pytest.approx(12_000, rel=0.01)
    assert one["share_j"] == pytest.approx(12_000 - 1500, rel=0.01)
    assert one["per_server"]["n1"]["share_j"] == pytest.approx(6000 - 1500, rel=0.01)
    assert one["overlap"] == 2
    assert (other["overlap"], nested["overlap"]) == (1, 1)
    assert other["energy_j"] == pytest.approx(3000, rel=0.01)
    assert other["share_j"] == pytest.approx(1500, rel=0.01)
    assert nested["share_j"] == pytest.approx(1500, rel=0.01)


def test_a_step_alone_has_no_share(bench):
    bench.power("n1", T0, T0 + 170)
    bench.step()
    bench.tick_at(T0 + 170)
    assert (bench.result()["overlap"], bench.result()["share_j"]) == (0, None)


def test_a_rival_whose_end_is_told_of_later_changes_the_share_at_the_next_look(bench):
    """It was taken as running until then; lost ones and those of a spool are such."""
    bench.power("n1", T0, T0 + 300)
    bench.take(start("o", T0 + 130, scenario="other"))
    bench.step(began=T0 + 100, ended=T0 + 160)
    bench.tick_at(T0 + 170)
    assert bench.result()["share_j"] == pytest.approx(4500, rel=0.02)
    bench.take(stop("o", T0 + 140))
    bench.tick_at(T0 + 231)
    assert bench.result()["share_j"] == pytest.approx(5500, rel=0.02)
    assert bench.result()["overlap"] == 1


def test_a_rival_that_is_told_of_later_changes_the_share_at_the_next_look(bench):
    bench.power("n1", T0, T0 + 400)
    bench.step()
    bench.tick_at(T0 + 170)
    bench.take(start("q", T0 + 100, scenario="late"), stop("q", T0 + 160))
    bench.tick_at(T0 + 300)
    assert bench.result()["share_j"] == pytest.approx(3000, rel=0.02)


def test_recompute_looks_again_whatever_the_readings_and_keeps_the_result_until_then(bench):
    bench.power("n1", T0, T0 + 170)
    bench.step()
    bench.tick_at(T0 + 170)
    for after_s in (240, 500, 2000, 87_000):
        bench.tick_at(T0 + 170 + after_s)
    before = bench.result()
    assert bench.tick_at(T0 + 200_000) == 0
    bench.power("n1", T0 + 120, T0 + 140, watts=200.0)
    for query, count in ((StepQuery(env="pod2"), 0), (StepQuery(run_id="r"), 1)):
        look_again = bench.journal.submit(lambda t, q=query: t.look_again(q, round(bench.now_s * SECOND)))
        assert look_again.result(60) == count
    assert bench.result() == before
    assert bench.tick_at(T0 + 200_001) == 1
    assert bench.result()["energy_j"] == pytest.approx(8000, rel=0.02)
    assert bench.tick_at(T0 + 200_002) == 0


@pytest.mark.parametrize("whatever", [True, False])
def test_retention_deletes_readings_never_steps_and_their_results(bench, whatever):
    bench.power("n1", T0, T0 + 170)
    bench.step()
    bench.tick_at(T0 + 170)
    for after_s in (240, 500, 2000, 87_000):
        bench.tick_at(T0 + 170 + after_s)
    before = bench.journal.step("r")
    bench.now_s = T0 + 90 * 86_400
    assert bench.samples.forget(bench.clock()) == 170
    bench.journal.submit(lambda t: t.look_again(StepQuery(), bench.clock(), whatever=whatever)).result(60)
    assert bench.tick_at(bench.now_s + 1) == 1
    step, result = bench.journal.step("r")
    assert (step, result.detail) == (before[0], before[1].detail)
    assert result.detail["energy_j"] == pytest.approx(6000, abs=60)


def test_a_demand_that_finds_the_same_is_forgotten_and_no_change(bench):
    bench.power("n1", T0, T0 + 170)
    bench.step()
    bench.tick_at(T0 + 170)
    before = bench.journal.step("r")
    bench.journal.submit(lambda t: t.look_again(StepQuery(), bench.clock())).result(60)
    assert bench.journal.step("r")[1].samples == -1
    assert bench.tick_at(T0 + 180) == 1
    assert bench.journal.step("r") == before


@pytest.mark.parametrize(("whatever", "energy_j"), [(False, 9000), (True, 12_000)])
def test_when_readings_are_gone_those_that_are_left_count_on_demand_only(bench, whatever, energy_j):
    bench.power("n1", T0, T0 + 130)
    bench.power("n1", T0 + 130, T0 + 170, watts=200.0)
    bench.step()
    bench.tick_at(T0 + 170)
    assert bench.result()["energy_j"] == pytest.approx(9000, rel=0.02)
    bench.samples.forget((T0 + 131) * SECOND)
    bench.journal.submit(lambda t: t.look_again(StepQuery(), bench.clock(), whatever=whatever)).result(60)
    assert bench.tick_at(bench.now_s + 1) == 1
    assert bench.result()["energy_j"] == pytest.approx(energy_j, rel=0.02)
