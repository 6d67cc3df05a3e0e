"""The object that is decorator and context manager at once, for every kind of function."""

from __future__ import annotations

import functools
from contextvars import Token
from typing import (
    Any,
    AsyncGenerator,
    Callable,
    Dict,
    Generator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

from energyrecorder.edge import never_raises
from energyrecorder.notices import LOG
from energyrecorder.recorder import Recorder, Scope

F = TypeVar("F", bound=Callable[..., Any])
_Entry = Tuple[Scope, "Token[Optional[Scope]]"]


def outcome_of(error: Optional[BaseException]) -> str:
    """Return the outcome of code that ended with ``error``; None means it ended well.

    An exception is a failure; what ends code from outside (interrupt, cancellation) aborts it. A generator
    that is closed before its end has done what its user wanted, and ``sys.exit()`` with 0 is success.
    """
    if error is None or isinstance(error, GeneratorExit):
        return "passed"
    if isinstance(error, SystemExit):
        return "passed" if error.code in (None, 0) else "failed"
    return "failed" if isinstance(error, Exception) and not _is_cancellation(error) else "aborted"


def _is_cancellation(error: BaseException) -> bool:
    return type(error).__name__ in ("CancelledError", "Cancelled")


class Recording:
    """Records the body of a ``with`` block or each call of a function as a scenario or a step.

    The decorated function keeps its kind and signature; results and exceptions pass through untouched. The
    object may be used again, nested and by several threads at once.

    Args:
        recorder: What opens and closes the scopes.
        name: Of the scenario or step; None takes ``self.case_name``, else the function's qualified name.
        is_step: A step rather than a scenario.
        servers: Ids or globs; empty inherits.
        tags: What else to store with it.
        work: Units of work done in it, for energy per unit.
    """

    def __init__(
        self,
        recorder: Recorder,
        name: Optional[str],
        *,
        is_step: bool,
        servers: Sequence[str] = (),
        tags: Optional[Mapping[str, str]] = None,
        work: Optional[float] = None,
    ) -> None:
        self._recorder = recorder
        self._name = name
        self._is_step = is_step
        self._options: Dict[str, Any] = {"servers": servers, "tags": tags, "work": work}
        self._entries: List[_Entry] = []

    def __call__(self, function: F) -> F:
        """Return ``function`` recorded."""
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(self(function.__func__))
        if isinstance(function, type) or not callable(function):
            LOG.warning("%r is not a function; it is not recorded", function)
            return function
        wrapped: Any = _wrapper_of_kind(function)(self, function)
        return functools.wraps(function)(wrapped)  # type: ignore[return-value]

    def __enter__(self) -> Optional[Scope]:
        """Open and enter the scope; return it, or None when nothing is recorded."""
        entry = self.enter(self._name or "unnamed")
        if entry is None:
            return None
        self._entries.append(entry)
        return entry[0]

    def __exit__(self, kind: object, error: Optional[BaseException], traceback: object) -> None:
        """Leave and close the scope; the exception goes on."""
        entry = self._take_entry()
        if entry is not None:
            self.leave(entry, error)

    @never_raises
    def _take_entry(self) -> Optional[_Entry]:
        """Return the innermost entry of this context, else the last one of any context."""
        inside = self._recorder.innermost()
        for index in range(len(self._entries) - 1, -1, -1):
            if self._entries[index][0] is inside:
                return self._entries.pop(index)
        return self._entries.pop() if self._entries else None

    @never_raises
    def enter(self, name: str) -> Optional[_Entry]:
        """Open and enter a scope called ``name``."""
        scope = self._recorder.open(name, is_step=self._is_step, **self._options)
        return None if scope is None else (scope, self._recorder.enter(scope))

    @never_raises
    def leave(self, entry: _Entry, error: Optional[BaseException]) -> None:
        """Leave and close the scope of ``entry``."""
        self._recorder.leave(*entry)
        self._recorder.close(entry[0], outcome_of(error))

    def name_for(self, function: Callable[..., Any], args: Tuple[Any, ...]) -> str:
        """Return the name that a call of ``function`` is recorded under."""
        if self._name is not None:
            return self._name
        case_name = None if self._is_step else _case_name(args)
        return case_name or getattr(function, "__qualname__", None) or "unnamed"

    @property
    def recorder(self) -> Recorder:
        """What opens and closes the scopes."""
        return self._recorder


@never_raises
def _case_name(args: Tuple[Any, ...]) -> Optional[str]:
    """Return ``self.case_name``, which named the original's scenarios; a property may raise."""
    case_name = getattr(args[0], "case_name", None) if args else None
    return case_name if isinstance(case_name, str) else None


def _wrapper_of_kind(function: Callable[..., Any]) -> Callable[[Recording, Any], Any]:
    import inspect  # 10 ms that `import energyrecorder` need not cost

    if inspect.iscoroutinefunction(function):
        return _coroutine_function
    if inspect.isasyncgenfunction(function):
        return _async_generator_function
    if inspect.isgeneratorfunction(function):
        return _generator_function
    return _function


class _Call:
    """The scope of one call."""

    __slots__ = ("_entry", "_name", "_recording")

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording = recording
        self._name = name

    def __enter__(self) -> None:
        self._entry = self._recording.enter(self._name)

    def __exit__(self, kind: object, error: Optional[BaseException], traceback: object) -> None:
        if self._entry is not None:
            self._recording.leave(self._entry, error)


def _function(recording: Recording, function: Callable[..., Any]) -> Callable[..., Any]:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        with _Call(recording, recording.name_for(function, args)):
            return function(*args, **kwargs)

    return recorded


def _coroutine_function(recording: Recording, function: Callable[..., Any]) -> Callable[..., Any]:
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        with _Call(recording, recording.name_for(function, args)):
            return await function(*args, **kwargs)

    return recorded


class _Resumable:
    """The scope of a generator: entered while its body runs, left while its caller's code does."""

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording = recording
        self._recorder = recording.recorder
        self._scope: Optional[Scope] = self._open(name)
        self._inside = self._scope

    def _open(self, name: str) -> Optional[Scope]:
        entry = self._recording.enter(name)
        if entry is None:
            return None
        self._recorder.leave(*entry)
        return entry[0]

    def __enter__(self) -> None:
        if self._scope is not None and self._inside is not None:
            self._token = self._recorder.enter(self._inside)

    def __exit__(self, kind: object, error: Optional[BaseException], traceback: object) -> None:
        if self._scope is None or self._inside is None:
            return
        # The body may stand inside a `with set_step(…)` of its own when it yields.
        self._inside = self._recorder.innermost()
        self._recorder.leave(self._scope, self._token)

    def close(self, error: Optional[BaseException]) -> None:
        if self._scope is not None:
            self._recorder.close(self._scope, outcome_of(error))


def _generator_function(recording: Recording, function: Callable[..., Any]) -> Callable[..., Any]:
    def recorded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        body = function(*args, **kwargs)
        scope = _Resumable(recording, recording.name_for(function, args))
        try:
            with scope:
                item = next(body)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with scope:
                        body.close()
                    raise
                except BaseException as error:  # noqa: BLE001  # handed to the body, as the language does
                    with scope:
                        item = body.throw(error)
                else:
                    with scope:
                        item = body.send(sent)
        except StopIteration as stop:
            scope.close(None)
            return stop.value
        except BaseException as error:
            scope.close(error)
            raise

    return recorded


def _async_generator_function(recording: Recording, function: Callable[..., Any]) -> Callable[..., Any]:
    async def recorded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        body = function(*args, **kwargs)
        scope = _Resumable(recording, recording.name_for(function, args))
        try:
            with scope:
                item = await body.__anext__()
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with scope:
                        await body.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  # handed to the body, as the language does
                    with scope:
                        item = await body.athrow(error)
                else:
                    with scope:
                        item = await body.asend(sent)
        except StopAsyncIteration:
            scope.close(None)
        except BaseException as error:
            scope.close(error)
            raise

    return recorded
