"""What every journal must do for results; `support.journal.OPENERS` names them."""

from dataclasses import replace

from energyrecorder_annotator.journal.base import Look, StepQuery, edges_of
from support.journal import RESULT, ended_step, put, take
from support.steps import SECOND, start, stop


def test_a_step_that_ends_is_due_and_its_result_is_part_of_it(journal):
    look = ended_step(journal)
    assert (look.step_id, look.look, look.due_ns) == ("r", 0, 5 * SECOND)
    following = replace(look, look=1, due_ns=65 * SECOND)
    version = journal.step("r")[0].version
    assert journal.submit(lambda t: t.put_result(look, RESULT, following)).result(60)
    found, result = journal.step("r")
    assert result == RESULT
    assert found.version == version + 1
    assert journal.changes(0, 10)[-1][1:] == ("r", version + 1)
    assert journal.looks(64 * SECOND, 10) == []
    assert journal.looks(65 * SECOND, 10) == [following]
    assert journal.submit(lambda t: t.put_result(following, None, None)).result(60)
    assert journal.looks(10**18, 10) == []
    assert journal.step("r")[1] == RESULT


def test_a_result_that_says_the_same_of_more_readings_is_no_change_of_the_step(journal):
    look = ended_step(journal)
    following = replace(look, look=1, due_ns=65 * SECOND)
    journal.submit(lambda t: t.put_result(look, RESULT, following)).result(60)
    before, changes = journal.step("r")[0], journal.changes(0, 10)
    more = replace(RESULT, samples=99)
    assert journal.submit(lambda t: t.put_result(following, more, None)).result(60)
    assert journal.step("r") == (before, more)
    assert journal.changes(0, 10) == changes


def test_a_result_for_edges_that_have_changed_meanwhile_is_refused(journal):
    look = ended_step(journal)
    moved = replace(journal.step("r")[0], servers=("n1",))
    put(journal, moved)
    assert not journal.submit(lambda t: t.put_result(look, RESULT, None)).result(60)
    assert journal.step("r")[1] is None
    [anew] = journal.looks(0, 10)
    assert anew == Look("r", 0, 5 * SECOND, edges_of(moved))


def test_a_change_of_the_edges_takes_the_result_away_and_context_does_not(journal):
    look = ended_step(journal)
    journal.submit(lambda t: t.put_result(look, RESULT, None)).result(60)
    put(journal, replace(journal.step("r")[0], title="new"))
    assert journal.step("r")[1] == RESULT
    put(journal, replace(journal.step("r")[0], end_ns=6 * SECOND))
    assert journal.step("r")[1] is None
    assert [one.due_ns for one in journal.looks(0, 10)] == [6 * SECOND]


def test_a_step_known_from_its_stop_only_is_not_due(journal):
    take(journal, stop("r", 5, env="pod1", scenario="s"))
    assert journal.looks(10**18, 10) == []
    take(journal, start("r", 1, scenario="s"))
    assert [look.step_id for look in journal.looks(0, 10)] == ["r"]


def test_looking_again_takes_ended_steps_that_fit_and_keeps_their_results(journal):
    look = ended_step(journal)
    journal.submit(lambda t: t.put_result(look, RESULT, None)).result(60)
    take(journal, start("running", 2))
    for query, count in (
        (StepQuery(), 1),
        (StepQuery(step_id="r", env="pod1"), 1),
        (StepQuery(run_id="running"), 0),
        (StepQuery(env="pod1' OR '1'='1"), 0),
    ):
        assert journal.submit(lambda t, q=query: t.look_again(q, 9)).result(60) == count
    assert journal.step("r")[1].detail == RESULT.detail
    assert journal.step("r")[1].samples != RESULT.samples
    assert [(one.step_id, one.due_ns) for one in journal.looks(9, 10)] == [("r", 9)]
