"""pytest plugin of `bench.sdk`: how long a session spends inside the hooks of our pytest plugin.

Used by ``pytest -p bench.hook_timer --energy``; writes ``{"tests", "median_us"}`` to the file that
``BENCH_HOOKS`` names. What pluggy takes to call a hook is not in it, what the clock takes is.
"""

from __future__ import annotations

import inspect
import json
import os
import statistics
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

PER_TEST = (
    "pytest_runtest_protocol",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_logreport",
)


class HookTimer:
    """Adds up, for each test, the time of our implementations of the hooks that run for it."""

    def __init__(self) -> None:
        self._inside_ns = 0
        self._tests_ns: list[int] = []

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Put a clock around every implementation of ours."""
        for name in PER_TEST:
            for implementation in getattr(session.config.hook, name).get_hookimpls():
                if implementation.plugin_name.startswith("energyrecorder"):
                    implementation.function = self._timed(implementation.function)

    def pytest_runtest_logfinish(self) -> None:
        """Put the time of a test aside."""
        self._tests_ns.append(self._inside_ns)
        self._inside_ns = 0

    def pytest_sessionfinish(self) -> None:
        """Write what was found."""
        found = {"tests": len(self._tests_ns), "median_us": statistics.median(self._tests_ns) / 1e3}
        Path(os.environ["BENCH_HOOKS"]).write_text(json.dumps(found), encoding="utf-8")

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.isgeneratorfunction(function):

            def plain(*args: Any) -> Any:
                before_ns = time.perf_counter_ns()
                result = function(*args)
                self._inside_ns += time.perf_counter_ns() - before_ns
                return result

            return plain

        def wrapper(*args: Any) -> Generator[None, Any, None]:
            before_ns = time.perf_counter_ns()
            body = function(*args)
            next(body)
            self._inside_ns += time.perf_counter_ns() - before_ns
            result = yield
            before_ns = time.perf_counter_ns()
            try:
                body.send(result)
            except StopIteration:
                self._inside_ns += time.perf_counter_ns() - before_ns

        return wrapper


def pytest_configure(config: pytest.Config) -> None:
    """Register the timer."""
    config.pluginmanager.register(HookTimer(), "bench-hook-timer")
