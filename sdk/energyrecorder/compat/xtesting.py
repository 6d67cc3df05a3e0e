"""The module that Functest and Xtesting once carried, on top of the SDK.

``from energyrecorder.compat import xtesting as energy`` takes the place of ``from functest.energy import
energy`` or ``from xtesting.energy import energy``. Other than the original it passes keyword arguments on,
keeps steps that could not be sent, and never waits for the service.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar, cast

from energyrecorder import api
from energyrecorder.compat.functest_config import adopt_functest_config
from energyrecorder.edge import never_raises
from energyrecorder.environment import inherited, is_disabled
from energyrecorder.recorder import Scope

__all__ = ["Energy", "EnergyRecorder", "enable_recording", "finish_session", "set_step"]

F = TypeVar("F", bound=Callable[..., Any])
Scenario = Dict[str, Optional[str]]
set_step = api.set_step


class _Level:
    """One scenario of the stack that the original's service kept.

    Args:
        scenario: Its name.
        scope: Of the SDK.
        step: The step that was set last.
    """

    def __init__(self, scenario: str, scope: Scope, step: str) -> None:
        self.scenario = scenario
        self.scope = scope
        self.step = step


class _Stack:
    """The open scenarios of this process, the innermost last, with the rules of the original's service."""

    def __init__(self) -> None:
        self._levels: List[_Level] = []
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._levels, self._lock = [], threading.RLock()

    def submit(self, scenario: str, step: str) -> None:
        """Be in ``scenario`` at ``step``: return to it where it is open, else open it within the others."""
        with self._lock:
            names = [level.scenario for level in self._levels]
            if scenario in names:
                self.close_to(names.index(scenario) + 1, "passed")
            elif self._is_around(scenario):
                self.close_to(0, "passed")
            else:
                api.Energy.start(scenario)
                scope = api.Energy.current()
                if scope is None:
                    return
                self._levels.append(_Level(scenario, scope, step))
            self.set_step(step)

    def set_step(self, step: str) -> None:
        """Begin a step of the innermost scenario."""
        with self._lock:
            if self._levels:
                self._levels[-1].step = step
            if step:
                api.Energy.set_step(step)

    def close_to(self, depth: int, outcome: str) -> None:
        """Close the innermost scenarios until ``depth`` are left."""
        with self._lock:
            while len(self._levels) > depth:
                self._levels.pop()
                api.Energy.stop(outcome)

    @property
    def depth(self) -> int:
        """How many are open."""
        return len(self._levels)

    def top(self) -> Optional[_Level]:
        """Return the innermost; None when none is open."""
        with self._lock:
            return self._levels[-1] if self._levels else None

    def _is_around(self, scenario: str) -> bool:
        around = inherited(os.environ)
        return not self._levels and around is not None and around.scenario == scenario


_stack = _Stack()


def finish_session(current_scenario: Optional[Scenario]) -> None:
    """End what was recorded since `EnergyRecorder.get_current_scenario` returned ``current_scenario``."""
    if current_scenario is None:
        EnergyRecorder.stop()
    else:
        EnergyRecorder.submit_scenario(current_scenario["scenario"] or "", current_scenario["step"] or "")


def enable_recording(method: F) -> F:
    """Record each call of a method as the scenario ``self.case_name``, else under the method's name.

    Args:
        method: The method; its results and exceptions pass unchanged.
    """

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        before = _begin(method, args)
        try:
            result = method(*args, **kwargs)
        except BaseException as error:
            _end(before, "failed" if isinstance(error, Exception) else "aborted")
            raise
        _end(before, "passed")
        return result

    return cast("F", wrapper)


@never_raises
def _begin(method: Callable[..., Any], args: Any) -> Tuple[int, str]:
    """Open the scenario; return how many were open before, and at which step the innermost was."""
    top = _stack.top()
    before = (_stack.depth, top.step if top else "")
    case_name = getattr(args[0], "case_name", None) if args else None
    EnergyRecorder.start(str(case_name or getattr(method, "__qualname__", "unnamed")))
    return before


@never_raises
def _end(before: Optional[Tuple[int, str]], outcome: str) -> None:
    if before is None:
        return
    depth, step = before
    _stack.close_to(depth, outcome)
    # The original submitted the scenario around again, at the step it was in.
    if _stack.depth:
        _stack.set_step(step)


class EnergyRecorder:
    """Manages recording sessions; nothing here raises."""

    logger = logging.getLogger(__name__)
    INITIAL_STEP = "running"
    CONNECTION_TIMEOUT = 4
    energy_recorder_api: Optional[Dict[str, Any]] = None

    @staticmethod
    def load_config() -> bool:
        """Take over Functest's settings once; return whether anything is recorded."""
        if EnergyRecorder.energy_recorder_api is None:
            adopt_functest_config(os.environ)
            EnergyRecorder.energy_recorder_api = {"available": not is_disabled(os.environ)}
        return bool(EnergyRecorder.energy_recorder_api["available"])

    @staticmethod
    def submit_scenario(scenario: str, step: str) -> bool:
        """Be in ``scenario`` at ``step``; return False when it could not even be queued."""
        return _safely(lambda: _stack.submit(scenario, step))

    @staticmethod
    def start(scenario: str) -> bool:
        """Start a recording session for ``scenario``."""
        return EnergyRecorder.submit_scenario(scenario, EnergyRecorder.INITIAL_STEP)

    @staticmethod
    def stop() -> bool:
        """Stop recording: close every scenario that is open here."""
        return _safely(lambda: _stack.close_to(0, "passed"))

    @staticmethod
    def set_step(step: str) -> bool:
        """Set the step of the current scenario."""
        return _safely(lambda: _stack.set_step(step))

    @staticmethod
    def get_current_scenario() -> Optional[Scenario]:
        """Return environment, scenario and step of what runs; None when nothing does."""
        return _current()


Energy = EnergyRecorder


@never_raises
def _current() -> Optional[Scenario]:
    environment = os.environ.get("ENERGY_ENV") or os.environ.get("NODE_NAME")
    top = _stack.top()
    if top is not None:
        return {"environment": environment, "scenario": top.scenario, "step": top.step}
    around = inherited(os.environ)
    if around is None or around.scenario is None:
        return None
    return {"environment": environment, "scenario": around.scenario, "step": ""}


@never_raises
def _do(action: Callable[[], None]) -> bool:
    if EnergyRecorder.load_config():
        action()
    return True


def _safely(action: Callable[[], None]) -> bool:
    return bool(_do(action))
