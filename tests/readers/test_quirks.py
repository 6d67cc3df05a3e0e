"""The quirk table: each row is shown by a fixture or names its evidence, and the page about it is fresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from energyrecorder.schema import SCOPES, SIDES, SOURCES
from energyrecorder_execd import quirk_places, quirks
from energyrecorder_execd.quirks_page import page
from energyrecorder_execd.readers.fast_meter import RECORD_S
from energyrecorder_execd.readers.ilo.history import HISTORY_RECORD_S

ROOT = Path(__file__).resolve().parents[2]
ROWS = (
    *quirks.QUIRKS,
    *quirks.TOTAL_SENSORS,
    *quirks.SUPPLY_SENSORS,
    *quirk_places.OEM_TOTALS,
    *quirk_places.OEM_SUPPLY_INPUTS,
    *quirk_places.OEM_COUNTERS,
    *quirk_places.OEM_PARTS,
    *quirk_places.OEM_NODES,
    *quirk_places.HISTORIES,
    *quirk_places.METRIC_DEFINITIONS,
    *quirks.TIMINGS,
)


def test_the_page_is_fresh():
    """If not: python -m energyrecorder_execd.quirks_page > docs/quirks.md."""
    assert (ROOT / "docs/quirks.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.seen[:40])
def test_each_row_says_where_it_was_seen(row):
    """A named fixture is there."""
    assert row.seen
    assert not row.fixture or (ROOT / "tests/testcases" / row.fixture / "expected.out").is_file()


@pytest.mark.parametrize("row", quirks.QUIRKS, ids=lambda row: row.seen[:40])
def test_each_effect_is_shown_by_its_fixture(row):
    """The vendor, model and firmware of the fixture's own `server_info` match the row."""
    told = (ROOT / "tests/testcases" / row.fixture / "expected.out").read_text(encoding="utf-8")
    values = {}
    for key in ("vendor", "model", "bmc_fw"):
        _, found, rest = told.partition(f'{key}="')
        values[key] = rest.partition('"')[0] if found else None
    assert row in quirks.matching(values["vendor"], values["model"], values["bmc_fw"])
    assert row.effects != quirks.Effects()


def test_the_rows_use_the_schemas_words():
    assert {row.source for row in quirks.TIMINGS} <= set(SOURCES)
    assert {row.scope for row in quirk_places.OEM_PARTS} <= set(SCOPES)
    assert {row.side for row in quirks.TOTAL_SENSORS} <= set(SIDES)


def test_the_page_tells_what_the_ilo_reader_does():
    fast, history = (row for row in quirks.TIMINGS if row.vendor == "HPE")
    assert (fast.refresh_s, fast.window_s) == (RECORD_S, RECORD_S)
    assert history.window_s == HISTORY_RECORD_S


def test_an_unknown_bmc_has_no_effects():
    assert quirks.effects(None, None, None) == quirks.Effects()
    assert quirks.effects("Somebody", "Else", "1.2") == quirks.Effects()
