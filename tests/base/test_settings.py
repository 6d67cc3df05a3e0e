"""Every mistake in a settings file is one line that names file, table, key and what is allowed."""

from __future__ import annotations

import math

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder.settings import Setting, load_toml, parse_duration, read_table


def _even(value):
    if value % 2:
        raise ValueError("an even number")
    return value


def _scheme(text):
    if text not in ("a", "b"):
        raise ValueError("'a' or 'b'")
    return text


SETTINGS = (
    Setting("host", "str", required=True),
    Setting("port", "int", default=623, minimum=1, maximum=65535),
    Setting("protocol", "str", default="auto", choices=("auto", "ipmi")),
    Setting("timeout", "duration", default=8.0, minimum=0.1),
    Setting("tags", "table", default={}),
    Setting("names", "list[str]", default=()),
    Setting("gain", "float", default=1.0),
    Setting("enabled", "bool", default=True),
    Setting("pairs", "int", default=2, check=_even),
    Setting("scheme", "str", default="a", check=_scheme),
)


def test_defaults_and_conversions():
    """Absent keys get their defaults, durations become seconds, integers serve as floats."""
    values = read_table({"host": "h", "timeout": "1.5s", "gain": 2}, SETTINGS, where="f: [server]")
    assert values["port"] == 623
    assert values["timeout"] == 1.5
    assert values["gain"] == 2.0
    assert isinstance(values["gain"], float)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"host": "h", "prot": 1},
            "f: [server]: unknown key 'prot' (did you mean 'port'?); allowed: host, port",
        ),
        ({"host": 5}, "f: [server]: key 'host' is 5; allowed: a text"),
        ({}, "f: [server]: missing key 'host': a text"),
        ({"host": "h", "port": 0}, "f: [server]: key 'port' is 0; allowed: a whole number from 1 to 65535"),
        (
            {"host": "h", "port": True},
            "f: [server]: key 'port' is True; allowed: a whole number from 1 to 65535",
        ),
        ({"host": "h", "protocol": "snmp"}, "f: [server]: key 'protocol' is 'snmp'; allowed: 'auto', 'ipmi'"),
        ({"host": "h", "timeout": "8"}, "f: [server]: key 'timeout' is '8'; allowed: a duration such as"),
        (
            {"host": "h", "timeout": "10ms"},
            "f: [server]: key 'timeout' is '10ms'; allowed: a duration such as",
        ),
        ({"host": "h", "gain": math.nan}, "f: [server]: key 'gain' is nan; allowed: a number"),
        ({"host": "h", "gain": -math.inf}, "f: [server]: key 'gain' is -inf; allowed: a number"),
        ({"host": "h", "gain": 10**400}, "f: [server]: key 'gain' is 1000"),
        ({"host": "h", "timeout": "9" * 400 + "s"}, "f: [server]: key 'timeout' is '9999"),
        ({"host": "h", "names": ["a", 1]}, "f: [server]: key 'names' is ['a', 1]; allowed: a list of texts"),
        ({"host": "h", "tags": "x"}, "f: [server]: key 'tags' is 'x'; allowed: a table"),
        ({"host": "h", "enabled": "yes"}, "f: [server]: key 'enabled' is 'yes'; allowed: true or false"),
        ({"host": "h", "pairs": 3}, "f: [server]: key 'pairs' is 3; allowed: an even number"),
        ({"host": "h", "scheme": 3}, "f: [server]: key 'scheme' is 3; allowed: 'a' or 'b'"),
        ("x", "f: [server]: must be a table, not 'x'"),
    ],
)
def test_each_mistake_is_one_clear_line(raw, message):
    """The message starts with file and table, names the key, and says what is allowed."""
    with pytest.raises(ConfigError) as caught:
        read_table(raw, SETTINGS, where="f: [server]")
    text = str(caught.value)
    assert text.startswith(message)
    assert "\n" not in text


@pytest.mark.parametrize("text", ["a = [", "a = " + "[" * 100_000, "a = " + "1" * 10_000])
def test_a_file_that_is_no_toml_is_one_line(tmp_path, text):
    """Also one that is nested too deeply, and a number that Python does not read."""
    file = tmp_path / "f.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"f\.toml: not valid TOML: [^\n]+$"):
        load_toml(file)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("500ms", 0.5), ("5m", 300), ("2h", 7200), ("90d", 7776000)]
)
def test_durations(text, seconds):
    """A duration is a number and a unit."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "-1s", "1 week", "s", 5, None, "1e3s"])
def test_bad_durations(text):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", "not valid TOML"),
        (b"\xff", "not UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_unreadable_files(tmp_path, content, message):
    """A file that cannot be used is named with the reason."""
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_toml(path)
    assert str(caught.value).startswith(str(path))
