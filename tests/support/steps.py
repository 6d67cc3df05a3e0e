"""A journal in memory for the state machine, and events with little typing."""

from __future__ import annotations

from energyrecorder_annotator.clocks import ServerTime
from energyrecorder_annotator.lifecycle import SetStep, Start, Stop, apply, expire

SECOND = 1_000_000_000


class MemoryView:
    """`StepView` over a dictionary; `take` applies an event to it."""

    def __init__(self):
        self.steps = {}

    def step(self, step_id):
        return self.steps.get(step_id)

    def children(self, step_id):
        return [step for step in self.steps.values() if step.parent_id == step_id]

    def open_runs(self, env):
        runs = [s for s in self.steps.values() if s.env == env and s.end_ns is None and s.run_id == s.step_id]
        return sorted(runs, key=lambda run: run.start_ns)

    def free_start_ns(self, series, wanted_ns):
        taken = {step.start_ns for step in self.steps.values() if step.started and step.series == series}
        while wanted_ns in taken:
            wanted_ns += 1
        return wanted_ns

    def take(self, event):
        decision = apply(event, self)
        self.steps.update({step.step_id: step for step in decision.changed})
        return decision

    def lose(self, step_id, alive_s):
        decision = expire(step_id, int(alive_s * SECOND), self)
        if decision is not None:
            self.steps.update({step.step_id: step for step in decision.changed})
        return decision


def at(seconds, error_s=0.0):
    """Return a moment by our clock."""
    return ServerTime(t_ns=round(seconds * SECOND), error_ns=round(error_s * SECOND))


def start(step_id, at_s, *, env="pod1", scenario="functest", step=None, parent=None, claim=None, **more):
    return Start(
        step_id=step_id,
        env=env,
        scenario=scenario,
        step=step,
        parent_id=parent,
        time=at(at_s),
        claim=f"time:{round(at_s * SECOND)}" if claim is None else claim,
        **more,
    )


def stop(step_id, at_s, outcome="passed", **more):
    return Stop(step_id=step_id, outcome=outcome, time=at(at_s), **more)


def set_step(step_id, at_s, step, *, env="pod1", run=None):
    return SetStep(
        step_id=step_id, env=env, step=step, time=at(at_s), run_id=run, claim=f"time:{round(at_s * SECOND)}"
    )
