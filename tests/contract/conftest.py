"""A journal of each kind, for the tests of what every journal must do."""

import pytest

from support.journal import OPENERS


@pytest.fixture(params=sorted(OPENERS))
def opened(request, tmp_path):
    """Return a function that opens one more connection to the same journal."""
    journals = []

    def open_one():
        journals.append(OPENERS[request.param](tmp_path / "journal.db"))
        return journals[-1]

    yield open_one
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened):
    return opened()
