"""What several tests of the stack share."""

from __future__ import annotations

import pytest

from support import grafana_mapper


@pytest.fixture(scope="session")
def mapper(tmp_path_factory):
    """Grafana's published code, as one script."""
    return grafana_mapper.bundle(tmp_path_factory.mktemp("mapper"))
