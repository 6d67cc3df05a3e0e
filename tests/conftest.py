"""Fixtures that every test folder may use."""

from __future__ import annotations

import pytest

from support.influxd import Influxd


@pytest.fixture(scope="session")
def influxd(tmp_path_factory):
    """A real InfluxDB 1.x, one for the session; tests use databases of their own."""
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.stop()
