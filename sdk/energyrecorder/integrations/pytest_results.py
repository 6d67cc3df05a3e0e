"""What a pytest session shows of its energy: terminal summary, budgets, JUnit properties."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

import pytest

from energyrecorder.client import EXIT_S
from energyrecorder.edge import never_raises
from energyrecorder.environment import is_disabled
from energyrecorder.errors import AnnotatorError
from energyrecorder.integrations.budget import EXCEEDED, verdict
from energyrecorder.integrations.pytest_recording import STEP_ID, Options, SessionRecording
from energyrecorder.integrations.pytest_summary import over_budget_text, summary_lines
from energyrecorder.integrations.run_results import StepResult, fetch_results
from energyrecorder.recorder import Scope

MOST_WAIT_S = 60.0
LEAST_ASK_S = 0.5
SHARE = 0.02
"""Of a session's length we wait for results unless told otherwise."""
LEAST_WAIT_S = 2.0
"""No result comes sooner after a step's end: what is shorter is not waited at all."""


def default_wait_s(session_s: float) -> float:
    """Return how long to wait for results after a session of ``session_s`` seconds."""
    wait_s = min(MOST_WAIT_S, SHARE * session_s)
    return wait_s if wait_s >= LEAST_WAIT_S else 0.0


class SessionResults:
    """The hooks that show results; they run where the summary is printed.

    Args:
        config: Of this session.
        options: How it is recorded.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._monotonic, self._started_s = time.monotonic, time.monotonic()
        self._tests: Dict[str, Any] = {}
        self._steps: List[StepResult] = []
        self._trouble = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which test is which step, where a budget may make an error of it."""
        if not self._options.fail_on_budget:
            return
        step_id = dict(report.user_properties).get(STEP_ID)
        if isinstance(step_id, str):
            self._tests[step_id] = (report.nodeid, report.location)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Any:
        """Fetch results after the last step was delivered, judge budgets, then let reports be written."""
        before_s = self._monotonic()
        self._recording.end_session(int(getattr(session, "exitstatus", 0)))
        self._fetch(EXIT_S - (self._monotonic() - before_s))
        if self._options.fail_on_budget:
            self._fail_over_budget(session)
        yield
        self._write_junit()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the energy by module and marker."""
        lines = self._lines()
        if lines:
            terminalreporter.section("energy")
            for line in lines:
                terminalreporter.line(line)

    @property
    def _recording(self) -> SessionRecording:
        found = self._config.pluginmanager.get_plugin("energyrecorder-recording")
        assert isinstance(found, SessionRecording)  # noqa: S101  # for mypy: registered together
        return found

    @property
    def _root(self) -> Optional[Scope]:
        return self._recording.root

    @never_raises
    def _fetch(self, left_s: float) -> None:
        """Ask for results; unless a person asks for them, sending and asking take `EXIT_S` together.

        Args:
            left_s: What sending the last steps has left of it.
        """
        import os  # not needed while tests are collected

        root = self._root
        if root is None or is_disabled(os.environ):
            return
        wait_s = self._options.wait_s
        if wait_s is None:
            wait_s = default_wait_s(self._monotonic() - self._started_s)
            if left_s < LEAST_ASK_S:
                self._trouble = "the annotator did not answer in time"
                return
        else:
            left_s = EXIT_S
        try:
            self._steps = fetch_results(root.run_id, root.step_id, wait_s=wait_s, once_s=left_s)
        except AnnotatorError as error:
            self._trouble = str(error)

    @never_raises
    def _fail_over_budget(self, session: pytest.Session) -> None:
        for step in self._steps:
            budget = step.tags.get("pytest.budget_j")
            test = self._tests.get(step.step_id)
            if budget is None or test is None:
                continue
            if verdict(float(budget), step.energy_j, step.u95_j, step.quality) != EXCEEDED:
                continue
            nodeid, location = test
            text = over_budget_text(step, float(budget))
            report = pytest.TestReport(
                nodeid, location, {}, "failed", text, "teardown", user_properties=[(STEP_ID, step.step_id)]
            )
            self._config.hook.pytest_runtest_logreport(report=report)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @never_raises
    def _write_junit(self) -> None:
        path = getattr(self._config.option, "xmlpath", None)
        if path and self._steps:
            from energyrecorder.integrations.junit_properties import add_energy  # most sessions write no file

            add_energy(path, {step.step_id: step for step in self._steps}, key=STEP_ID)

    @never_raises
    def _lines(self) -> List[str]:
        root = self._root
        if root is None:
            return []
        lines = [f"mistake: {mistake}" for mistake in self._recording.mistakes]
        # Told on stderr too, but while a test ran pytest had it.
        lines += [f"note: {line}" for line in self._recording.notices]
        if self._steps:
            return lines + summary_lines(self._steps, root.run_id)
        if self._trouble:
            lines.append(f"no results: {self._trouble}")
        return lines
