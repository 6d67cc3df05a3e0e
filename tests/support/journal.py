"""Steps and events put into a journal as the annotator does."""

from energyrecorder_annotator.journal.base import StoredResult
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.lifecycle import Step, apply
from support.steps import SECOND, start, stop

OPENERS = {"sqlite": SqliteJournal}
"""The journals that the contract is held against; a further one joins by adding itself here."""

RESULT = StoredResult(detail={"energy_j": 1.5, "quality": "resolved"}, samples=3, newest_ns=7)


def take(journal, event):
    """Put an event through the state machine, durably."""

    def work(transaction):
        decision = apply(event, transaction)
        transaction.put_steps(decision.changed)
        return decision

    return journal.submit(work).result(60)


def put(journal, *steps):
    journal.submit(lambda transaction: transaction.put_steps(steps)).result(60)


def step(step_id, **more):
    values = {
        "run_id": step_id,
        "parent_id": None,
        "env": "pod1",
        "scenario": "s",
        "step": None,
        "version": 1,
    }
    return Step(step_id=step_id, **{**values, "start_ns": SECOND, **more})


def ended_step(journal):
    take(journal, start("r", 1))
    take(journal, stop("r", 5))
    [look] = journal.looks(0, 10)
    return look
