"""Records a pytest session: the session is a scenario, modules and tests are steps in it.

One run per session, also with pytest-xdist: its workers' steps lie in the controller's run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Generator, List, Optional, Tuple

import pytest

from energyrecorder.api import Energy, enable_recording, notices
from energyrecorder.edge import never_raises
from energyrecorder.environment import Inherited
from energyrecorder.integrations.budget import parse_energy_j
from energyrecorder.integrations.pytest_plugin import LEVELS
from energyrecorder.integrations.pytest_repeat import Repetition, read_repetition
from energyrecorder.recorder import Scope
from energyrecorder.step_names import step_name

STEP_ID = "energy_step_id"
"""Property of a test in reports: the id of its step."""
_NOT_OURS = frozenset(
    {
        "asyncio",
        "energy",
        "filterwarnings",
        "parametrize",
        "skip",
        "skipif",
        "timeout",
        "usefixtures",
        "xfail",
    }
)
_ARGUMENTS = ("step", "servers", "budget", "repeat", "min_duration")
"""Of the marker."""
_INTERRUPTED, _NO_TESTS = 2, 5


@dataclass(frozen=True)
class Options:
    """How a session is recorded.

    Args:
        level: What becomes a step: ``session``, ``module`` or ``test``.
        scenario: Name of the run.
        servers: Ids or globs; empty means all of the environment.
        wait_s: How long to wait for results; None means a small share of the session.
        fail_on_budget: A test above its budget is an error.
    """

    level: str
    scenario: str
    servers: Tuple[str, ...]
    wait_s: Optional[float]
    fail_on_budget: bool


def read_options(config: pytest.Config) -> Options:
    """Return the options: the command line, then the project's settings.

    Raises:
        pytest.UsageError: One holds something that is not allowed.
    """
    level = config.getoption("--energy-level") or config.getini("energy_level")
    if level not in LEVELS:
        raise pytest.UsageError(f"energy_level is {level!r}; allowed: {', '.join(LEVELS)}")
    wait = config.getoption("--energy-wait") or config.getini("energy_wait")
    try:
        wait_s = float(str(wait).rstrip("s")) if wait else None
    except ValueError:
        raise pytest.UsageError(f"energy_wait is {wait!r}; allowed: seconds, such as 60") from None
    return Options(
        level=level,
        scenario=config.getoption("--energy-scenario")
        or config.getini("energy_scenario")
        or config.rootpath.name,
        servers=tuple(config.getini("energy_servers")),
        wait_s=wait_s,
        fail_on_budget=config.getoption("--energy-fail-on-budget") or config.getini("energy_fail_on_budget"),
    )


@dataclass
class _Open:
    """A step that is open here, with what its end will tell."""

    scope: Scope
    token: Any
    name: str
    outcome: str = "passed"


class _Test:
    """What one test tells while it runs."""

    def __init__(self, opened: _Open, tags: Dict[str, str]) -> None:
        self.opened = opened
        self.tags = tags
        self.title: Optional[str] = None
        self.outcome = "passed"
        self.reports: List[pytest.TestReport] = []
        self.repetition: Optional[Repetition] = None

    def note(self, report: pytest.TestReport) -> None:
        """Take over outcome and length of a phase."""
        self.tags[f"pytest.{report.when}_s"] = f"{report.duration:.6f}"
        if report.outcome == "failed":
            self.outcome = "failed"
            self.tags["pytest.outcome"] = "failed" if report.when == "call" else "error"
        elif report.outcome == "skipped":
            self.tags["pytest.outcome"] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        elif report.when == "call" and hasattr(report, "wasxfail"):
            self.tags["pytest.outcome"] = "xpassed"


class SessionRecording:
    """The hooks that open and close scopes; they run where the tests run.

    Args:
        config: Of this session.
        options: How to record it.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._options = options
        self._worker_input: Optional[Dict[str, Any]] = getattr(config, "workerinput", None)
        self._worker_output: Dict[str, Any] = getattr(config, "workeroutput", {})
        self._recorder = enable_recording("pytest").recorder
        self._root: Optional[_Open] = None
        self._module: Optional[_Open] = None
        self._test: Optional[_Test] = None
        self.mistakes: List[str] = []
        self._told_by_workers: List[str] = []

    @property
    def root(self) -> Optional[Scope]:
        """The scope of the session, open or closed; None when nothing is recorded."""
        return self._root.scope if self._root else None

    @property
    def notices(self) -> List[str]:
        """What this process and workers were told of trouble, each sentence once."""
        return list(dict.fromkeys([*notices.lines, *self._told_by_workers]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Open the run, or take part in that of the controller."""
        self._begin_session()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker which run it belongs to."""
        if self.root is not None:
            node.workerinput["energyrecorder"] = (self.root.run_id, self.root.step_id, self.root.scenario)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what an xdist worker found."""
        output = getattr(node, "workeroutput", {})
        self.mistakes += output.get("energyrecorder_mistakes", [])
        self._told_by_workers += output.get("energyrecorder_notices", [])

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: Optional[pytest.Item]
    ) -> Generator[None, Any, None]:
        """Bracket a test with its set-up and tear-down."""
        self._begin_test(item)
        result = yield
        self._end_test(interrupted=getattr(result, "excinfo", None) is not None)
        if nextitem is None or _module_of(nextitem) != _module_of(item):
            self._end_module()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        """Repeat the call of a test whose marker asks for it."""
        repetition = self._test.repetition if self._test else None
        if repetition is None:
            yield
            return
        with repetition.in_place():
            yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, None]:
        """Note the outcome and length of a phase."""
        result = yield
        if self._test is not None:
            self._test.reports.append(result.get_result())

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Close the run and deliver what is left."""
        self.end_session(int(exitstatus))
        self._worker_output["energyrecorder_mistakes"] = self.mistakes
        self._worker_output["energyrecorder_notices"] = notices.lines

    @never_raises
    def _begin_session(self) -> None:
        if self._worker_input is None:
            scope = self._recorder.open(
                self._options.scenario,
                is_step=False,
                servers=self._options.servers,
                tags={"framework": "pytest"},
            )
        else:
            ids = self._worker_input.get("energyrecorder")
            scope = self._recorder.adopt(Inherited(*ids)) if ids else None
        if scope is not None:
            self._root = _Open(scope, self._recorder.enter(scope), self._options.scenario)

    @never_raises
    def _begin_test(self, item: pytest.Item) -> None:
        if self._options.level != "session" and self._root is not None:
            module = _module_of(item)
            if self._module is None or self._module.name != module:
                self._end_module()
                self._module = self._enter(module, is_module=True)
        marker, markers = _read_markers(item)
        self._test = None
        if self._options.level != "test":
            return
        name, title = step_name(marker.get("step") or item.nodeid)
        opened = self._enter(name, servers=_servers(marker))
        if opened is None:
            return
        self._test = _Test(opened, {"pytest.markers": ",".join(markers)} if markers else {})
        if title or marker.get("step"):
            self._test.title = item.nodeid
        if marker:
            self._read_marker(item, marker)
        item.user_properties.append((STEP_ID, opened.scope.step_id))

    def _read_marker(self, item: pytest.Item, marker: Dict[str, Any]) -> None:
        assert self._test is not None  # noqa: S101  # for mypy: called by `_begin_test` only
        try:
            self._test.repetition = read_repetition(item, marker)
            if marker.get("budget") is not None:
                self._test.tags["pytest.budget_j"] = repr(parse_energy_j(marker["budget"]))
        except (TypeError, ValueError) as error:
            self._complain(item, str(error))
        unknown = set(marker).difference(_ARGUMENTS)
        if unknown:
            self._complain(item, f"{min(unknown)!r} is not known; allowed: {', '.join(_ARGUMENTS)}")

    def _complain(self, item: pytest.Item, mistake: str) -> None:
        self.mistakes.append(f"{item.nodeid}: marker energy: {mistake}")

    @never_raises
    def _end_test(self, *, interrupted: bool) -> None:
        test, self._test = self._test, None
        if test is None:
            return
        for report in test.reports:
            test.note(report)
        if test.outcome == "failed" and self._module is not None:
            self._module.outcome = "failed"
        more: Dict[str, Any] = {"tags": test.tags}
        if test.title is not None:
            more["title"] = test.title
        if test.repetition is not None and test.repetition.times > 1:
            more["work"] = float(test.repetition.times)
        self._recorder.patch(test.opened.scope, **more)
        self._leave(test.opened, "aborted" if interrupted else test.outcome)

    @never_raises
    def _end_module(self) -> None:
        module, self._module = self._module, None
        if module is not None:
            self._leave(module, module.outcome)

    @never_raises
    def end_session(self, exitstatus: int) -> None:
        """Close the run and deliver what is left; harmless when that is done."""
        self._end_test(interrupted=True)
        self._end_module()
        if self._root is not None and not self._root.scope.closed:
            ended_well = exitstatus in (0, _NO_TESTS)
            outcome = "aborted" if exitstatus == _INTERRUPTED else "passed" if ended_well else "failed"
            self._leave(self._root, outcome)
        Energy.flush()

    def _enter(self, name: str, *, is_module: bool = False, servers: Tuple[str, ...] = ()) -> Optional[_Open]:
        shown = step_name(name)[0] if is_module else name
        scope = self._recorder.open(shown, is_step=True, servers=servers)
        return None if scope is None else _Open(scope, self._recorder.enter(scope), name)

    def _leave(self, opened: _Open, outcome: str) -> None:
        self._recorder.leave(opened.scope, opened.token)
        self._recorder.close(opened.scope, outcome)


def _module_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _read_markers(item: pytest.Item) -> Tuple[Dict[str, Any], List[str]]:
    """Return the arguments of a test's energy markers, the nearest first, and the names of its others."""
    found: Dict[str, Any] = {}
    names = set()
    for mark in item.iter_markers():
        if mark.name == "energy":
            named = {"step": mark.args[0]} if mark.args else {}
            found = {**mark.kwargs, **named, **found}
        elif mark.name not in _NOT_OURS:
            names.add(mark.name)
    return found, sorted(names)


def _servers(marker: Dict[str, Any]) -> Tuple[str, ...]:
    servers = marker.get("servers") or ()
    return (servers,) if isinstance(servers, str) else tuple(str(server) for server in servers)
