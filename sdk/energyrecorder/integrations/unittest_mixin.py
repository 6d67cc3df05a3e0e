"""Mixin for `unittest.TestCase`: the class is a run, or a step of what is open; each test is a step in it.

Example:
    class TestBoot(EnergyMixin, unittest.TestCase):
        energy_servers = ("node-1",)
"""

from __future__ import annotations

import unittest
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple, cast

from energyrecorder.api import enable_recording
from energyrecorder.edge import never_raises
from energyrecorder.step_names import step_name

if TYPE_CHECKING:
    from energyrecorder.recorder import Recorder, Scope

    _Base = unittest.TestCase
else:
    _Base = object


class EnergyMixin(_Base):
    """Stands before `unittest.TestCase` in the list of bases.

    Attributes:
        case_name: Name of the run; None means that of the class.
        energy_servers: Server ids or globs; empty means all of the environment.
    """

    case_name: Optional[str] = None
    energy_servers: Tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls) -> None:
        """Open the run, so that what the class sets up lies in it."""
        _open_class(cls)
        super().setUpClass()

    def run(self, result: Optional[unittest.TestResult] = None) -> Optional[unittest.TestResult]:
        """Run the test as a step."""
        opened = _begin_test(self)
        if opened is None or result is None:
            return super().run(result)
        listening = _Listening(result)
        try:
            super().run(cast("unittest.TestResult", listening))
        except BaseException:
            _end_test(opened, "aborted")
            raise
        _end_test(opened, "passed" if listening.good else "failed")
        return result


class _Listening:
    """Stands for a result of any runner, and notes whether something went wrong.

    Args:
        result: What is told everything.
    """

    _TROUBLE = ("addError", "addFailure", "addUnexpectedSuccess", "addSubTest")

    def __init__(self, result: unittest.TestResult) -> None:
        self.__dict__.update(_result=result, good=True)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._result, name)
        return self._noting(name, value) if name in self._TROUBLE else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._result, name, value)

    def _noting(self, name: str, tell: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any, **kwargs: Any) -> Any:
            error = args[-1] if args else None
            skipped = isinstance(error, tuple) and error[0].__name__ in ("SkipTest", "Skipped")
            # A part of a test is reported in any case; its error is None when it went well.
            if not (skipped or (name == "addSubTest" and error is None)):
                self.__dict__["good"] = False
            return tell(*args, **kwargs)

        return noting


class _ClassRun:
    """The open run of one class; kept on the class itself, which no other one shares."""

    def __init__(self, recorder: Recorder, scope: Scope) -> None:
        self.recorder = recorder
        self.scope = scope
        self.token = recorder.enter(scope)
        # A class whose set-up fails runs no test.
        self.outcome = "aborted"

    @never_raises
    def close(self) -> None:
        """End it."""
        self.recorder.leave(self.scope, self.token)
        self.recorder.close(self.scope, self.outcome)


@never_raises
def _open_class(cls: Any) -> Optional[_ClassRun]:
    known = cls.__dict__.get("_energy_run")
    if known is not None and not known.scope.closed:
        return known  # type: ignore[no-any-return]
    recorder = enable_recording("unittest").recorder
    name = cls.case_name or step_name(cls.__qualname__)[0]
    scope = recorder.open(name, is_step=True, servers=cls.energy_servers, tags={"framework": "unittest"})
    if scope is None:
        return None
    cls._energy_run = run = _ClassRun(recorder, scope)
    # A clean-up of the class runs after tearDownClass, and also where a user's setUpClass forgets ours.
    cls.addClassCleanup(run.close)
    return run


@never_raises
def _begin_test(test: Any) -> Optional[Dict[str, Any]]:
    run = _open_class(type(test))
    if run is None:
        return None
    name, title = step_name(test.id().rpartition(".")[2])
    scope = run.recorder.open(name, is_step=True)
    if scope is None:
        return None
    return {"run": run, "scope": scope, "token": run.recorder.enter(scope), "title": title}


@never_raises
def _end_test(opened: Dict[str, Any], outcome: str) -> None:
    run, scope = opened["run"], opened["scope"]
    if scope.closed:
        return
    if run.outcome != "failed":
        run.outcome = outcome if outcome == "passed" else "failed"
    run.recorder.leave(scope, opened["token"])
    run.recorder.close(scope, outcome)
