"""Fixtures that every test folder may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

from influxd import PROGRAM, Influxd
from support.tools import need

# A run in the background of a shell, or under nohup, starts with these ignored, and so would all it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Hypothesis gives an example 0.2 s unless it runs in CI; a busy machine needs longer for one with a disk.
hypothesis.settings.register_profile("unhurried", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("unhurried")
# The tests are started by make: a make that one of them starts must not take itself for a part of that.
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Chromium as root, without a GPU, and without its own talk to the outside world."""

END_TO_END = frozenset({"e2e", "faults", "integrations", "stack"})
"""Folders whose tests run the whole chain, real frameworks or real servers: `make test-e2e`."""


def pytest_collection_modifyitems(items):
    """Mark what stands in those folders."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in END_TO_END:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def influxd(tmp_path_factory):
    """A real InfluxDB 1.x, one for the session; tests use databases of their own."""
    need(PROGRAM)
    with Influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def influxd_of_its_own(tmp_path):
    """A real InfluxDB 1.x that the test may stop and start."""
    need(PROGRAM)
    with Influxd(tmp_path / "influxd") as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    """A real Chromium."""
    from playwright.sync_api import sync_playwright  # starts slowly, and few tests need it

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=need("chromium"), args=CHROMIUM_FLAGS)
        yield started
        started.close()
