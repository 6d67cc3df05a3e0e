"""What earlier runs of a scenario took, looked up in the journal when a run with its result is shown."""

from __future__ import annotations

from energyrecorder_analysis.compare.observe import WHOLE, Observation, observe
from energyrecorder_annotator.api.answers import step_detail
from energyrecorder_annotator.journal.base import Journal, StepQuery, StepWithResult, StoredResult
from energyrecorder_annotator.lifecycle import Step

LAST = 20
"""Runs before it that a run is held against at most: the newest that passed."""


class Baselines:
    """Looks up baselines.

    Args:
        journal: Where the runs are.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def of(self, run: Step, result: StoredResult | None) -> dict[str, float | int]:
        """Return the fields of a run's baseline by their names; empty where it has none.

        Steps have none, nor have runs that cannot be compared (failed, unresolvable, shared servers…), nor
        those with too few comparable runs before them.

        Raises:
            JournalError: The journal cannot be read.
        """
        if result is None or run.run_id != run.step_id or (mine := _observed((run, result))) is None:
            return {}
        # Loads numpy, which a service that has no result yet does not pay for.
        from energyrecorder_analysis.compare.baseline import baseline

        query = StepQuery(
            env=run.env, scenario=run.scenario, state="passed", roots=True, to_ns=run.start_ns, limit=LAST
        )
        earlier = [
            found for pair in self._journal.list_steps(query) if (found := _observed(pair)) is not None
        ]
        known = baseline(mine, earlier)
        if known is None:
            return {}
        return {
            "baseline_wh": known.energy_j / 3600,
            "baseline_low_wh": known.low_j / 3600,
            "baseline_high_wh": known.high_j / 3600,
            "baseline_runs": known.runs,
        }


def _observed(run: StepWithResult) -> Observation | None:
    """Return the energy of a run as a whole; None if it cannot be compared."""
    body = {"run": step_detail(run, run[0].start_ns), "steps": []}
    return observe(body).energies.get(WHOLE)
