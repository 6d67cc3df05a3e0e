"""pytest plugin: with ``--energy`` the session is recorded as a run; without it nothing happens.

pytest loads this module in every project that has energyrecorder installed, so it imports nothing but pytest.
"""

from __future__ import annotations

from typing import Any, Iterator

import pytest

MARKER = (
    "energy(step=None, servers=None, budget=None, repeat=1, min_duration=None): how --energy records this "
    "test: name of the step, servers whose energy counts, budget such as '12Wh', calls in one bracket"
)
LEVELS = ("session", "module", "test")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and settings."""
    group = parser.getgroup("energy", "energy of tests (energyrecorder)")
    group.addoption(
        "--energy", action="store_true", help="record this session and its tests with energyrecorder"
    )
    group.addoption(
        "--energy-level",
        choices=LEVELS,
        help="what becomes a step: nothing, each module, or each test (default)",
    )
    group.addoption(
        "--energy-scenario", metavar="NAME", help="name of the run; default: the root folder's name"
    )
    group.addoption(
        "--energy-wait",
        metavar="S",
        help="wait so many seconds for results before the summary; default: 2%% of the session, at most 60",
    )
    group.addoption(
        "--energy-fail-on-budget",
        action="store_true",
        help="a test whose energy is above the budget of its marker is an error",
    )
    parser.addini("energy_level", "as --energy-level", default="test")
    parser.addini("energy_scenario", "as --energy-scenario", default="")
    parser.addini("energy_wait", "as --energy-wait", default="")
    parser.addini(
        "energy_servers", "ids or globs of the servers whose energy counts; default: all", type="args"
    )
    parser.addini("energy_fail_on_budget", "as --energy-fail-on-budget", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the recording when it is asked for.

    Raises:
        pytest.UsageError: A setting holds something that is not allowed.
    """
    config.addinivalue_line("markers", MARKER)
    if not config.getoption("--energy") or config.option.collectonly:
        return
    from energyrecorder.integrations.pytest_recording import SessionRecording, read_options

    options = read_options(config)
    config.pluginmanager.register(SessionRecording(config, options), "energyrecorder-recording")
    if hasattr(config, "workerinput"):
        return
    from energyrecorder.integrations.pytest_results import SessionResults

    config.pluginmanager.register(SessionResults(config, options), "energyrecorder-results")


@pytest.fixture
def energy_steps() -> Iterator[Any]:
    """Steps that the test records, kept in memory instead of being sent: see `energyrecorder.testing`."""
    from energyrecorder.testing import recorded

    with recorded() as steps:
        yield steps
