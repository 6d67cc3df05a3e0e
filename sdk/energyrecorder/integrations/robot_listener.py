"""Robot Framework listener: the top suite is a run, nested suites and tests are steps in it.

Use it by ``robot --listener energyrecorder.integrations.robot_listener.EnergyListener tests/``. Within a step
of another process, as of ``energy-step run -- pabot …``, the top suite is a step too: one run, many workers.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple

from energyrecorder.api import Energy, enable_recording
from energyrecorder.edge import never_raises
from energyrecorder.recorder import Scope
from energyrecorder.step_names import step_name

_OUTCOMES = {"PASS": "passed", "SKIP": "passed", "NOT RUN": "aborted"}
LEVELS = ("suite", "test")


class _Open(NamedTuple):
    scope: Scope
    token: Any


class EnergyListener:
    """The listener.

    Args:
        level: ``test`` makes each test a step, ``suite`` suites alone.
        servers: Server ids or globs, separated by commas; empty means all of the environment.

    Raises:
        ValueError: ``level`` is something else.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, level: str = "test", servers: str = "") -> None:
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}; allowed: {', '.join(LEVELS)}")
        self._level = level
        self._servers = tuple(filter(None, (server.strip() for server in servers.split(","))))
        self._recorder = enable_recording("robot").recorder
        self._open: List[_Open] = []

    @never_raises
    def start_suite(self, data: Any, result: Any) -> None:
        """Begin a suite.

        Args:
            data: The suite as it was written.
            result: The suite as it runs.
        """
        del result
        # Without anything around it a step is a scenario: the top suite becomes the run.
        self._begin(data, tags={"framework": "robot"} if not self._open else {})

    @never_raises
    def end_suite(self, data: Any, result: Any) -> None:
        """End a suite with its outcome."""
        del data
        self._end(result)

    @never_raises
    def start_test(self, data: Any, result: Any) -> None:
        """Begin a test with its set-up."""
        del result
        if self._level == "test":
            self._begin(data, tags=_tags(data))

    @never_raises
    def end_test(self, data: Any, result: Any) -> None:
        """End a test after its tear-down."""
        del data
        if self._level == "test":
            self._end(result)

    def close(self) -> None:
        """Deliver what is left when Robot Framework ends."""
        Energy.flush()

    def _begin(self, data: Any, *, tags: Any) -> None:
        name, title = step_name(data.name)
        scope = self._recorder.open(
            name, is_step=True, servers=() if self._open else self._servers, tags=tags
        )
        if scope is None:
            return
        self._open.append(_Open(scope, self._recorder.enter(scope)))
        if title is not None:
            self._recorder.patch(scope, title=title)

    def _end(self, result: Any) -> None:
        if not self._open:
            return
        opened = self._open.pop()
        if result.status == "SKIP":
            self._recorder.patch(opened.scope, tags={"robot.outcome": "skipped"})
        self._recorder.leave(opened.scope, opened.token)
        self._recorder.close(opened.scope, _OUTCOMES.get(result.status, "failed"))


def _tags(data: Any) -> Any:
    tags = ",".join(str(tag) for tag in data.tags)
    return {"robot.tags": tags} if tags else {}
