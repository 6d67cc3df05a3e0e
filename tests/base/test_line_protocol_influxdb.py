"""What the line writer writes, a real InfluxDB stores unchanged, and nothing beside it."""

from __future__ import annotations

import pytest

from energyrecorder.line_protocol import format_line

NASTY = [
    "plain",
    "space in it",
    "comma,equals=quote\"apostrophe'",
    "back\\slash",
    "uml\u00e4ut \u6f22\u5b57 \U0001f50b",
    "#hash",
    "'; DROP MEASUREMENT m --",
]
CLEANED = {
    "ends in backslash\\": "ends in backslash/",
    "two\nlines v=1": "two lines v=1",
    "tab\tcr\r": "tab cr ",
}


@pytest.fixture
def database(influxd):
    """An empty database."""
    influxd.query("CREATE DATABASE line_protocol")
    yield "line_protocol"
    influxd.query("DROP DATABASE line_protocol")


@pytest.mark.parametrize(("text", "stored"), [*((text, text) for text in NASTY), *CLEANED.items()])
def test_round_trip(influxd, database, text, stored):
    """Names, tags and strings come back; neighbours of a nasty point survive; no foreign series appears."""
    point = format_line(
        "m", {"t": text, "k" + text: "v"}, {"f" + text: 1.5, "s": text, "n": 2**62, "b": True}, 7
    )
    influxd.write(database, f"before v=1 5\n{point}\nafter v=1 9")
    (series,) = influxd.query("SELECT * FROM m", database)
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    assert row == {
        "time": 7,
        "t": stored,
        "k" + stored: "v",
        "f" + stored: 1.5,
        "s": text,
        "n": 2**62,
        "b": True,
    }
    (names,) = influxd.query("SHOW MEASUREMENTS", database)
    assert [name for (name,) in names["values"]] == ["after", "before", "m"]


def test_joules_keep_their_digits(influxd, database):
    """A counter beyond a million joules loses nothing: energy is a difference of such numbers."""
    for time_ns, energy_j in enumerate((1234567.8, 123456.789, 0.1 + 0.2, 1222273783.25), start=1):
        influxd.write(database, format_line("m", {}, {"energy_j": energy_j}, time_ns))
    (series,) = influxd.query("SELECT energy_j FROM m", database)
    assert [value for _, value in series["values"]] == [1234567.8, 123456.789, 0.1 + 0.2, 1222273783.25]
