"""Steps of a run whose sensor declares nothing: computed by themselves first, then like their run."""

from itertools import pairwise

import pytest

from energyrecorder_annotator.journal.base import JournalError
from energyrecorder_annotator.run_timings import MOST_RUNS, RunTimings
from support.results import T0, Bench
from support.steps import start, stop

EDGES = [T0 + 100, T0 + 900, T0 + 950, T0 + 1400, T0 + 2000]
NAMES = [f"s{number}" for number in range(len(EDGES) - 1)]


@pytest.fixture
def bench(tmp_path):
    one = Bench(tmp_path)
    # At first a value is renewed every 10 s, later every 4 s: steps and run learn different delays.
    watts = [200 + 37 * (second // 10 * 7 % 11) for second in range(1300)]
    watts += [300 + 41 * (second // 4 * 5 % 9) for second in range(1100)]
    one.undeclared("n1", T0, watts)
    yield one
    one.journal.close()
    one.samples.close()


def run(bench):
    """A run whose steps have results of their own before it ends."""
    bench.take(start("r", EDGES[0]))
    for name, (began, ended) in zip(NAMES, pairwise(EDGES), strict=True):
        bench.take(start(name, began, step=name, parent="r"), stop(name, ended))
    bench.tick_at(EDGES[-1] + 30)


def energies_j(bench):
    return [bench.result(name)["energy_j"] for name in NAMES]


def is_sum(bench):
    return sum(energies_j(bench)) == pytest.approx(bench.result()["energy_j"], rel=1e-9)


def test_steps_add_up_to_their_run_once_it_has_its_result(bench):
    run(bench)
    alone = energies_j(bench)
    u95s_j = [bench.result(name)["u95_j"] for name in NAMES]
    bench.take(stop("r", EDGES[-1]))
    assert bench.tick_at(EDGES[-1] + 40) == 1
    assert not is_sum(bench), "else there is nothing to be seen here"
    assert bench.tick_at(EDGES[-1] + 41) == 1 + len(NAMES)
    assert is_sum(bench)
    for name, before_j, u95_j in zip(NAMES, alone, u95s_j, strict=True):
        assert abs(bench.result(name)["energy_j"] - before_j) < bench.result(name)["u95_j"] + u95_j
    assert bench.tick_at(EDGES[-1] + 42) == 0, "once is enough"


def test_a_step_that_comes_late_is_computed_like_its_run_also_after_a_restart(bench, tmp_path):
    run(bench)
    bench.take(stop("r", EDGES[-1]))
    for after_s in range(3):
        bench.tick_at(EDGES[-1] + 40 + after_s)
    bench.journal.close()
    bench.samples.close()
    again = Bench(tmp_path)
    try:
        first, last = T0 + 150, T0 + 850
        for name, began, ended in (("a", EDGES[0], first), ("b", first, last), ("c", last, EDGES[1])):
            again.take(start(name, began, step=name, parent="s0"), stop(name, ended))
        assert again.tick_at(EDGES[-1] + 50) == 3
        parts_j = sum(again.result(name)["energy_j"] for name in "abc")
        assert parts_j == pytest.approx(again.result("s0")["energy_j"], rel=1e-9)
    finally:
        again.journal.close()
        again.samples.close()


def test_steps_of_a_sensor_that_declares_itself_are_computed_once(bench):
    bench.power("n2", T0, T0 + 2100)
    bench.take(start("r", EDGES[0], servers=("n2",)))
    bench.take(start("s", EDGES[0], step="s", parent="r"), stop("s", EDGES[1]))
    bench.take(stop("r", EDGES[-1]))
    assert bench.tick_at(EDGES[-1] + 40) == 2
    assert bench.tick_at(EDGES[-1] + 41) == 0


def test_a_journal_that_cannot_be_written_leaves_no_step_out(bench, monkeypatch):
    run(bench)
    bench.take(stop("r", EDGES[-1]))
    submit = bench.journal.submit

    def refuse_once(work):
        monkeypatch.undo()
        return submit(lambda transaction: _fail(work, transaction))

    monkeypatch.setattr(bench.journal, "submit", refuse_once)
    with pytest.raises(JournalError):
        bench.tick_at(EDGES[-1] + 40)
    for after_s in range(3):
        bench.tick_at(EDGES[-1] + 41 + after_s)
    assert is_sum(bench)


def _fail(work, transaction):
    work(transaction)
    raise JournalError("no room")


def test_only_the_last_runs_are_remembered():
    timings = RunTimings()
    for number in range(MOST_RUNS + 1):
        assert not timings.put(f"r{number}", {})
    assert timings.get("r0") is None
    assert timings.get("r1") == {}
