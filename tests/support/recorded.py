"""What an annotator recorded, in the form that tests compare: trees of names, states and times."""

from __future__ import annotations

from urllib.parse import urlencode


class Runs:
    """Reads runs of one annotator.

    Args:
        annotator: The process (`support.annotator.Annotator`).
    """

    def __init__(self, annotator):
        self._annotator = annotator
        self._client = annotator.client()

    def all(self, scenario, **query):
        """Return the details of every run called ``scenario``, newest first."""
        listed = self._client.get(f"/v1/runs?{urlencode({'scenario': scenario, 'limit': 1000, **query})}")
        return [self.run(run["run_id"]) for run in listed["runs"]]

    def run(self, run_id):
        """Return a run with its steps."""
        answer = self._client.get(f"/v1/runs/{run_id}")
        return answer["run"], answer["steps"]

    def only(self, scenario, *, ended=True):
        """Return the one run called ``scenario``, once it has ended."""

        def found():
            runs = self.all(scenario)
            assert len(runs) <= 1, runs
            return runs[0] if runs and (not ended or runs[0][0]["state"] != "running") else None

        return self._annotator.until(found)

    def tree(self, scenario):
        """Return the one run as nested ``(name, state, children)``, siblings by start."""
        run, steps = self.only(scenario)

        def branch(step):
            children = [branch(child) for child in steps if child["parent_id"] == step["step_id"]]
            return step["step"] or step["scenario"], step["state"], children

        return branch(run)

    def by_name(self, scenario):
        """Return the steps of the one run by name; names must not repeat."""
        run, steps = self.only(scenario)
        named = {step["step"] or step["scenario"]: step for step in steps}
        assert len(named) == len(steps), [step["step"] for step in steps]
        return {scenario: run, **named}
