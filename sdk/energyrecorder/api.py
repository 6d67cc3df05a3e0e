"""The SDK's public names, bound to the one recorder and the one client of this process.

A process has one set of open scopes and one delivery thread, whoever imports us; they are made here, cheaply,
and nothing is read, sent or started before the first step.
"""

from __future__ import annotations

import atexit
import os
from typing import Any, Callable, Mapping, Optional, Sequence, TypeVar, Union, overload

from energyrecorder.client import Client
from energyrecorder.clock import SystemClock
from energyrecorder.environment import inherited
from energyrecorder.notices import Notices
from energyrecorder.recorder import Recorder, Scope
from energyrecorder.recording import Recording

F = TypeVar("F", bound=Callable[..., Any])

_now = SystemClock().now
notices = Notices()
_client = Client(now=_now, notices=notices)
_recorder = Recorder(_client.submit, _now, lambda: inherited(os.environ))


def _close_all_and_flush() -> None:
    _recorder.close_all()
    _client.flush()


atexit.register(_close_all_and_flush)


@overload
def enable_recording(target: F) -> F: ...
@overload
def enable_recording(
    target: Optional[str] = None,
    *,
    servers: Sequence[str] = (),
    tags: Optional[Mapping[str, str]] = None,
    work: Optional[float] = None,
) -> Recording: ...
def enable_recording(
    target: Union[F, str, None] = None,
    *,
    servers: Sequence[str] = (),
    tags: Optional[Mapping[str, str]] = None,
    work: Optional[float] = None,
) -> Union[F, Recording]:
    """Record a scenario: each call of a function, or the body of a ``with`` block.

    Nothing is raised into, delayed in or changed for the recorded code, whatever the annotator does.

    Args:
        target: Name of the scenario. None, or the function itself when used bare, takes ``self.case_name``
            of the call, else the function's qualified name.
        servers: Server ids or globs whose energy counts; empty means all of the environment.
        tags: What else to store with the scenario.
        work: Units of work done in it, for energy per unit.
    """
    if callable(target):
        return Recording(_recorder, None, is_step=False)(target)
    return Recording(_recorder, target, is_step=False, servers=servers, tags=tags, work=work)


@overload
def set_step(target: F) -> F: ...
@overload
def set_step(
    target: Optional[str] = None,
    *,
    servers: Sequence[str] = (),
    tags: Optional[Mapping[str, str]] = None,
    work: Optional[float] = None,
) -> Recording: ...
def set_step(
    target: Union[F, str, None] = None,
    *,
    servers: Sequence[str] = (),
    tags: Optional[Mapping[str, str]] = None,
    work: Optional[float] = None,
) -> Union[F, Recording]:
    """Record a step of the innermost open scope: each call of a function, or a ``with`` block.

    Args:
        target: Name of the step. None, or the function itself when used bare, takes its qualified name.
        servers: Server ids or globs whose energy counts; empty means those of the scope around it.
        tags: What else to store with the step.
        work: Units of work done in it, for energy per unit.
    """
    if callable(target):
        return Recording(_recorder, None, is_step=True)(target)
    return Recording(_recorder, target, is_step=True, servers=servers, tags=tags, work=work)


class Energy:
    """Steps at once, where neither a function nor a block fits. Nothing here raises."""

    @staticmethod
    def start(scenario: str) -> None:
        """Open a scenario that lasts until `stop`, or is aborted at the end of the process."""
        _recorder.start(scenario)

    @staticmethod
    def stop(outcome: str = "passed") -> None:
        """Close the scenario opened last by `start`; without one, nothing happens.

        Args:
            outcome: ``passed``, ``failed`` or ``aborted``.
        """
        _recorder.stop(outcome)

    @staticmethod
    def set_step(step: str) -> None:
        """Begin a step of the innermost open scope; it ends with the next one or with that scope."""
        _recorder.set_step(step)

    @staticmethod
    def mark(title: str, text: Optional[str] = None) -> None:
        """Note an instant, such as ``vm destroyed``."""
        _recorder.mark(title, text)

    @staticmethod
    def flush(timeout_s: Optional[float] = None) -> None:
        """Return when every event so far is delivered or kept.

        Only for processes that end without running Python's exit handlers, as test workers may.

        Args:
            timeout_s: Longest wait, in seconds; None means two.
        """
        _client.flush(timeout_s)

    @staticmethod
    def current() -> Optional[Scope]:
        """Return the innermost open scope; None when nothing is recorded.

        Give its ``environ`` to a child process to make what that records a part of this scope.
        """
        return _recorder.current()
