"""Which runs an original recorder's database tells of: pure, second by second."""

import pytest

from energyrecorder_annotator.original.history.sessions import (
    Moment,
    Run,
    Stretch,
    TaggedSamples,
    runs_of,
    told_stretches,
    without_known,
)

SECOND = 1_000_000_000


def told(*moments):
    """Return (scenario, step, start, end) in seconds of what moments (t_s, scenario, step, started) tell."""
    found = told_stretches(Moment(t_s * SECOND, *rest) for t_s, *rest in moments)
    return [(one.scenario, one.step, one.start_ns // SECOND, one.end_ns // SECOND) for one in found]


def tagged(*samples, until_s=10_000):
    """Return (step, start, end, error) in seconds of what samples (t_s, server, scenario, step) tell."""
    seen = TaggedSamples()
    for t_s, *rest in samples:
        seen.add(t_s * SECOND, *rest)
    return [
        (one.step, one.start_ns / SECOND, one.end_ns / SECOND, one.error_ns / SECOND)
        for one in seen.stretches(until_s * SECOND)
    ]


def every(pause_s, from_s, to_s, step, server="n1"):
    return [(t_s, server, "functest", step) for t_s in range(from_s, to_s + 1, pause_s)]


class TestTold:
    def test_the_newest_tells_what_runs(self):
        assert told((10, "a", "x", True), (20, "a", "y", True), (35, "a", "y", False)) == [
            ("a", "x", 10, 20),
            ("a", "y", 20, 35),
        ]

    def test_telling_again_and_ending_what_does_not_run_change_nothing(self):
        assert told(
            (10, "a", "x", True), (12, "a", "x", True), (15, "b", "", False), (20, "a", "x", False)
        ) == [("a", "x", 10, 20)]

    def test_a_session_that_the_decorator_restores_goes_on_after_what_it_nested(self):
        stretches = told(
            (10, "a", "s", True), (20, "b", "running", True), (30, "a", "s", True), (40, "a", "s", False)
        )
        assert stretches == [("a", "s", 10, 20), ("b", "running", 20, 30), ("a", "s", 30, 40)]

    @pytest.mark.parametrize("moments", [(), ((10, "a", "x", True),), ((10, "a", "x", False),)])
    def test_what_has_no_end_or_no_start_is_left_out(self, moments):
        assert told(*moments) == []


class TestTagged:
    def test_edges_lie_within_the_pause_of_two_samples(self):
        assert tagged(*every(10, 100, 160, "x")) == [("x", 95, 165, 5)]

    def test_one_sample_says_little(self):
        [(_, start_s, end_s, error_s)] = tagged((100, "n1", "functest", "x"))
        assert (start_s, end_s, error_s) == (40, 160, 60)

    def test_servers_that_change_over_at_different_moments_make_one_edge(self):
        samples = sorted(
            every(10, 100, 150, "x")
            + every(10, 160, 200, "y")
            + every(10, 103, 163, "x", "n2")
            + every(10, 173, 203, "y", "n2")
        )
        assert [step for step, *_ in tagged(*samples)] == ["x", "y"]

    def test_a_step_that_comes_again_is_a_second_one(self):
        samples = [*every(10, 0, 50, "x"), *every(10, 60, 80, "y"), *every(10, 90, 150, "x")]
        assert [one[0] for one in tagged(*samples)] == ["x", "y", "x"]
        assert len(tagged(*every(10, 0, 50, "x"), *every(10, 300, 400, "x"))) == 2

    def test_where_nothing_ran_there_is_no_step(self):
        assert tagged((0, "n1", "n/s", "n/s"), (10, "n1", "", "")) == []

    def test_what_may_still_go_on_is_left_out(self):
        assert tagged(*every(10, 0, 100, "x"), until_s=150) == []


class TestRuns:
    def test_stretches_that_follow_one_another_are_one_run(self):
        stretches = [
            Stretch("a", "x", 0, 10 * SECOND),
            Stretch("a", "", 10 * SECOND, 12 * SECOND),
            Stretch("b", "y", 12 * SECOND, 20 * SECOND),
            Stretch("a", "z", 60 * SECOND, 70 * SECOND, 5 * SECOND),
        ]
        runs = runs_of("e", stretches)
        assert [(run.scenario, [step.step for step in run.steps]) for run in runs] == [
            ("a", ["x"]),
            ("b", ["y"]),
            ("a", ["z"]),
        ]
        assert (runs[0].start_ns, runs[0].end_ns) == (0, 12 * SECOND)
        assert runs[2].error_ns == 5 * SECOND

    def test_an_id_belongs_to_environment_scenario_and_start(self):
        def run(env, scenario, start_ns):
            return Run(env, (Stretch(scenario, "", start_ns, start_ns + 5),))

        ids = {run(*one).run_id for one in [("e", "a", 1), ("f", "a", 1), ("e", "b", 1), ("e", "a", 2)]}
        assert len(ids) == 4
        assert run("e", "a", 1).run_id == run("e", "a", 1).run_id

    def test_what_was_told_counts_more_than_tags(self):
        exact = runs_of("e", [Stretch("a", "x", 100, 200)])
        seen = runs_of("e", [Stretch("a", "x", 90, 210), Stretch("b", "y", 90, 210)])
        assert without_known(seen, exact) == seen[1:]
