"""What the line writer lets through is exactly what an independent reader and InfluxDB get back."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_protocol_parser import parse_line

from energyrecorder.line_protocol import format_line

PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30
).filter(lambda text: "\\" not in text)
ANY_TEXT = st.text(max_size=40)
FIELDS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),  # the oracle reads no subnormals
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0"), max_size=40),
)


@pytest.mark.parametrize(
    ("tags", "fields", "expected"),
    [
        ({"a": "b c"}, {"v": 1.0}, r"m,a=b\ c v=1.0"),
        ({"a": "b,c=d"}, {"v": 1.0}, r"m,a=b\,c\=d v=1.0"),
        ({"a k": "x"}, {"f k": 1.0}, r"m,a\ k=x f\ k=1.0"),
        ({"a": r"b\c"}, {"v": 1.0}, r"m,a=b\c v=1.0"),
        ({"a": "b\\"}, {"v": 1.0}, "m,a=b/ v=1.0"),
        ({"a": "b\\,c"}, {"v": 1.0}, r"m,a=b/\,c v=1.0"),
        ({"a": "b\\\\c"}, {"v": 1.0}, "m,a=b/\\c v=1.0"),
        ({"a": "b\nm v=2"}, {"v": 1.0}, r"m,a=b\ m\ v\=2 v=1.0"),
        ({"a": "b\tc\r"}, {"v": 1.0}, r"m,a=b\ c\  v=1.0"),
        ({"b": "2", "a": "1"}, {"v": 1.0}, "m,a=1,b=2 v=1.0"),
        ({"a": "", "b": None}, {"v": 1.0}, "m v=1.0"),
        ({}, {"v": 123456.789}, "m v=123456.789"),
        ({}, {"v": 0.1 + 0.2}, "m v=0.30000000000000004"),
        ({}, {"v": 1234567.8}, "m v=1234567.8"),
        ({}, {"v": 7}, "m v=7i"),
        ({}, {"v": -(2**63)}, "m v=-9223372036854775808i"),
        ({}, {"v": True, "w": False}, "m v=true,w=false"),
        ({}, {"v": 'say "x" \\ y'}, r'm v="say \"x\" \\ y"'),
        ({}, {"v": ""}, 'm v=""'),
        ({}, {"v": "a\nb\0c"}, 'm v="a\nb c"'),
        ({}, {"v": 1.0, "n": math.nan, "i": math.inf, "x": None}, "m v=1.0"),
    ],
)
def test_escaping_and_types(tags, fields, expected):
    """Each rule of the writer, one row each."""
    assert format_line("m", tags, fields) == expected


def test_no_field_is_no_line():
    """A point without any field that can be written is not written."""
    assert format_line("m", {"a": "b"}, {"v": math.nan, "w": None}) is None


def test_measurement_is_cleaned():
    """A measurement can neither be a comment nor swallow its tags."""
    assert format_line("#a b,c\\", {"t": "1"}, {"v": 1.0}) == r"a\ b\,c/,t=1 v=1.0"


def test_time_stamp_is_kept_to_the_nanosecond():
    """Time stamps are whole nanoseconds."""
    assert format_line("m", {}, {"v": 1.0}, 1_700_000_000_123_456_789) == "m v=1.0 1700000000123456789"


@pytest.mark.parametrize(
    ("measurement", "fields", "time_ns", "error"),
    [
        ("", {"v": 1.0}, None, ValueError),
        ("#", {"v": 1.0}, None, ValueError),
        ("m", {"": 1.0}, None, ValueError),
        ("m", {"v": 2**63}, None, ValueError),
        ("m", {"v": Decimal(1)}, None, TypeError),
        ("m", {"v": b"x"}, None, TypeError),
        ("m", {"v": 1.0}, 1.5, TypeError),
        ("m", {"v": 1.0}, True, TypeError),
        ("m", {"v": 1.0}, 2**64, ValueError),
    ],
)
def test_what_cannot_be_written_is_refused(measurement, fields, time_ns, error):
    """What has no exact form in line protocol is an error, never a guess."""
    with pytest.raises(error):
        format_line(measurement, {}, fields, time_ns)


@given(
    PLAIN, st.dictionaries(PLAIN, PLAIN, max_size=3), st.dictionaries(PLAIN, FIELDS, min_size=1, max_size=4)
)
def test_independent_parser_reads_back_what_was_written(measurement, tags, fields):
    """An independent parser gets measurement, tags, fields and time back unchanged."""
    if measurement.startswith("#"):
        measurement = "m" + measurement
    line = format_line(measurement, tags, fields, 1)
    parsed = parse_line(line)
    assert parsed["measurement"] == measurement
    assert parsed["tags"] == tags
    assert parsed["fields"] == fields
    assert parsed["time"] == 1


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_injects_a_second_point(tag, key, field):
    """Whatever the texts hold, the result is one line with one point of our measurement."""
    line = format_line("m", {"t": tag, "k" + key: "v"}, {"f": 1.0, "s": field}, 5)
    parsed = parse_line(line)
    assert parsed["measurement"] == "m"
    assert set(parsed["fields"]) == {"f", "s"}
    assert parsed["time"] == 5
    head = line.split(' f=1.0,s="', 1)[0]
    assert re.search(r"[\x00-\x1f\x7f]", head) is None
