"""What each table of a fleet file may hold: checks, defaults and documents follow from it."""

from __future__ import annotations

import re
from typing import Any

from energyrecorder import schema
from energyrecorder.settings import Setting, parse_duration
from energyrecorder_execd.fleet.hosts import parse_proxy
from energyrecorder_execd.fleet.model import SourceTiming

MIN_INTERVAL_S = 0.5
MAX_INTERVAL_S = 3600.0
PROTOCOLS = ("auto", "redfish", "ilo", "ipmi")

_PIN = re.compile(r"pin:sha256:[0-9a-f]{2}(:?[0-9a-f]{2}){31}")
_TLS_ALLOWED = "verify, ca:FILE, pin:sha256:HEX (64 hex digits), tofu or off"
_BRIDGE_ALLOWED = (
    "an IPMB address from '0x01' to '0xff', or with its channel (0 to 11) such as '6/0x2c'; "
    "one behind another such as '0x82:7/0x72'"
)
_HOP = "(?:(?:1[01]|[0-9])/)?0x(?:0?[1-9a-f]|[1-9a-f][0-9a-f])"
_BRIDGE = re.compile(f"{_HOP}(?::{_HOP})?", re.IGNORECASE)


def interval(text: str) -> float | None:
    """Return the seconds between two polls that ``text`` stands for; None for ``auto``.

    Raises:
        ValueError: It is something else; says what is allowed.
    """
    if text == "auto":
        return None
    allowed = f"'auto', or a duration from {MIN_INTERVAL_S:g} to {MAX_INTERVAL_S:g} s such as '10s'"
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise ValueError(allowed) from None
    if not MIN_INTERVAL_S <= seconds <= MAX_INTERVAL_S:
        raise ValueError(allowed)
    return seconds


def _tls(text: str) -> str:
    if text in {"verify", "tofu", "off"} or (text.startswith("ca:") and len(text) > len("ca:")):
        return text
    if _PIN.fullmatch(text.lower()):
        return "pin:sha256:" + text.lower().removeprefix("pin:sha256:").replace(":", "")
    raise ValueError(_TLS_ALLOWED)


def _proxy(text: str) -> str:
    parse_proxy(text)
    return text


def _bridge(text: str) -> str:
    if _BRIDGE.fullmatch(text) is None:
        raise ValueError(_BRIDGE_ALLOWED)
    return text


def _tags(table: Any) -> dict[str, str]:
    for key, value in table.items():
        if key not in schema.STATIC_TAGS:
            raise ValueError(f"the tags {', '.join(schema.STATIC_TAGS)}")
        if not isinstance(value, str):
            raise ValueError(f"a text for the tag {key!r}")  # noqa: TRY004  # what a `Setting` check raises
    return dict(table)


def _timing(table: Any) -> SourceTiming:
    allowed = "{ source = 'NAME', window = '10s', refresh = '10s' }, one of the two durations at least"
    durations = {key: table[key] for key in ("window", "refresh") if key in table}
    source = table.get("source")
    if not isinstance(source, str) or not durations or len(durations) + 1 != len(table):
        raise ValueError(allowed)
    try:
        seconds = {f"{key}_s": parse_duration(text) for key, text in durations.items()}
    except ValueError:
        raise ValueError(allowed) from None
    if seconds.get("refresh_s") == 0 or max(seconds.values()) > MAX_INTERVAL_S:
        raise ValueError(f"{allowed}, at most {MAX_INTERVAL_S:g} s; a window may be '0s'")
    return SourceTiming(source, **seconds)


def _not_blank(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("a text that is not empty, on one line")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"a regular expression: {error}") from None
    return text


FILE = (
    Setting("include", "list[str]", "further files, as patterns relative to this one", default=()),
    Setting("defaults", "table", "keys of [[server]] that hold for all servers of this file", default={}),
    Setting("credentials", "table", "accounts, one table each", default={}),
    Setting("server", "tables", "the BMCs", default=()),
)
INCLUDED_FILE = tuple(setting for setting in FILE if setting.name != "include")

CREDENTIALS = (
    Setting("user", "str", "account on the BMC", required=True, check=_not_blank),
    Setting("password", "str", "{env=NAME}, {file=PATH} or, with a warning, a literal", required=True),
)

DEFAULTS = (
    Setting("env", "str", "environment (pod, lab) the server belongs to", "default", check=_not_blank),
    Setting("protocol", "str", "auto: Redfish, then iLO REST, then IPMI", "auto", choices=PROTOCOLS),
    Setting("interval", "str", "'auto' (half the refresh period, 5 to 30 s, else 10 s) or a duration", "auto",
            check=interval),
    Setting("timeout", "duration", "deadline of one whole poll", 8.0, minimum=0.1, maximum=300.0),
    Setting("credentials", "str", "name of a [credentials.…] table"),
    Setting("tls", "str", "verify, ca:FILE, pin:sha256:HEX, tofu or off", "verify", check=_tls),
    Setting("port", "int", "port, if not the protocol's own", minimum=1, maximum=65535),
    Setting("tags", "table", "static tags: " + ", ".join(schema.STATIC_TAGS), default={}, check=_tags),
    Setting("timing", "table", "source, window and refresh of its power, where the BMC does not declare them",
            check=_timing),
    Setting("enabled", "bool", "false: not polled", default=True),
    Setting("debug", "bool", "true: log this server's traffic, secrets masked"),
    Setting("proxy", "str", "HTTP proxy for this BMC; proxy variables are never used", check=_proxy),
    Setting("legacy_tls", "bool", "true: TLS 1.0, TLS 1.1 and old ciphers are allowed for this BMC"),
    Setting("components", "bool", "true: CPUs, memory, GPUs and power supplies as series of their own"),
    Setting("cipher_suite", "int", "IPMI cipher suite; default: 17, then 3, remembered", choices=(17, 3)),
    Setting("bridge", "str", "IPMB address of the controller behind this BMC, such as '0x82'; on channel 6: "
            "'6/0x2c'; behind another one: '0x82:7/0x72'", check=_bridge),
    Setting("kg", "str", "IPMI BMC key, as a password is given"),
    Setting("privilege", "str", "IPMI privilege, never raised by itself",
            choices=("user", "operator", "administrator")),
    Setting("sensor", "str", "pattern of the IPMI sensors that are the power, instead of the vendor's",
            check=_pattern),
    Setting("transport", "str", "IPMI client", choices=("lanplus", "pyghmi")),
)  # fmt: skip

SERVER = (
    Setting("id", "str", "server id; ranges such as node-[01-16] expand", required=True),
    Setting("host", "str", "host, host:port, [v6]:port, https://…, http://…; ranges expand", required=True),
    *DEFAULTS,
)

READER_OPTIONS = (
    "debug",
    "proxy",
    "legacy_tls",
    "components",
    "cipher_suite",
    "bridge",
    "kg",
    "privilege",
    "sensor",
    "transport",
)
"""Keys that are handed to the readers as they are, when they are set."""
