"""A service for the tests of a module, a client of it, and an environment of its own for each test."""

import pytest

from support.annotator import new_id, running


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    with running(tmp_path_factory.mktemp("annotator")) as one:
        yield one


@pytest.fixture
def client(annotator):
    one = annotator.client()
    yield one
    one.close()


@pytest.fixture
def env():
    return f"env-{new_id()}"
