"""Calls a test several times within one bracket: one call may be too short to measure."""

from __future__ import annotations

import contextlib
import functools
import inspect
import time
from typing import Any, Callable, Dict, Iterator, Optional

import pytest

from energyrecorder.settings import parse_duration


class Repetition:
    """How often one test is called.

    Args:
        item: The test.
        at_least: Calls at least.
        min_duration_s: Time at least, in seconds; calls go on until both are reached or one fails.
    """

    def __init__(self, item: pytest.Function, at_least: int, min_duration_s: float) -> None:
        self._item = item
        self._at_least = at_least
        self._min_duration_ns = int(min_duration_s * 1e9)
        self._monotonic_ns = time.monotonic_ns
        self._until_ns = 0
        self.times = 0

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Make the call of the test a repeated one meanwhile."""
        function = self._item.obj
        self._item.obj = self._repeated(function)
        try:
            yield
        finally:
            self._item.obj = function

    def _goes_on(self) -> bool:
        if self.times == 0:
            self._until_ns = self._monotonic_ns() + self._min_duration_ns
        return self.times < max(1, self._at_least) or self._monotonic_ns() < self._until_ns

    def _repeated(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def repeated_coroutine(*args: Any, **kwargs: Any) -> Any:
                result = None
                while self._goes_on():
                    self.times += 1
                    result = await function(*args, **kwargs)
                return result

            return repeated_coroutine

        @functools.wraps(function)
        def repeated(*args: Any, **kwargs: Any) -> Any:
            result = None
            while self._goes_on():
                self.times += 1
                result = function(*args, **kwargs)
            return result

        return repeated


def _is_testcase(item: pytest.Item) -> bool:
    import unittest

    owner = getattr(item, "cls", None)
    return isinstance(owner, type) and issubclass(owner, unittest.TestCase)


def read_repetition(item: pytest.Item, marker: Dict[str, Any]) -> Optional[Repetition]:
    """Return the repetition of ``item`` that a marker's arguments ask for; None when there is none.

    Raises:
        ValueError: They are not a count and a duration, or the test cannot be called again.
    """
    repeat, min_duration = marker.get("repeat", 1), marker.get("min_duration")
    if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
        raise ValueError(f"repeat is {repeat!r}; allowed: a whole number from 1")
    min_duration_s = 0.0
    if min_duration is not None:
        try:
            min_duration_s = (
                float(min_duration)
                if isinstance(min_duration, (int, float))
                else parse_duration(min_duration)
            )
        except ValueError as error:
            raise ValueError(f"min_duration is {min_duration!r}; allowed: {error}") from None
    if repeat == 1 and not min_duration_s:
        return None
    if not isinstance(item, pytest.Function) or _is_testcase(item):
        raise ValueError("repeat and min_duration are for functions and methods outside of unittest.TestCase")
    return Repetition(item, repeat, min_duration_s)
