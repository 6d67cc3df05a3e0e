"""Takes out of a BMC's answers what tells whose it is: serials, addresses, names, accounts (pure).

What is called by a telling name, or has a telling form, is replaced everywhere by the same stand-in, so that
links still lead where they led. Of all other texts only those stay that `harmless` knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from energyrecorder_execd.setup.harmless import may_stay

# A key is sensitive by what it is called; Dell's SKU and NodeId are the service tag.
_KEYS = (
    (
        "SERIAL",
        re.compile(
            r"(?i)serial|service_?tag|express_?service|asset|^sku$|node_?id|barcode|licen[cs]e"
            r"|unique_?id|durable_?name$|ppid|(?-i:S[Nn]$)"
        ),
    ),
    ("UUID", re.compile(r"(?i)uuid|guid|^eui|ww[np]n")),
    ("MAC", re.compile(r"(?i)mac_?address|^mac$|network_?address")),
    ("ADDRESS", re.compile(r"(?i)ip(v[46])?_?address|^address$|gateway|subnet|name_?servers?$|^dns")),
    ("HOST", re.compile(r"(?i)(?:host|server|system|computer|machine|cluster|rac)_?name|fqdn|domain")),
    ("USER", re.compile(r"(?i)user_?name|^user$|account_?name|owner|contact|e_?mail")),
    (
        "TEXT",
        re.compile(r"(?i)password|passwd|token|secret|certificate_?string|^location|user_?label|room|^rack"),
    ),
    ("PLACE", re.compile(r"(?i)longitude|latitude|altitude|house_?number|postal")),
)
_NUMBERS = frozenset({"SERIAL", "UUID", "PLACE"})
"""Kinds whose numbers tell as much as their texts."""

_NOT_SENSITIVE = re.compile(r"(?i)@odata|version|^(HostName|Location)Allowable|Enabled$|Status$|Count$")
_PATTERNS = (
    ("UUID", re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")),
    ("MAC", re.compile(r"(?i)(?<![0-9a-z])(?:[0-9a-f]{2}(?:[:-]|%3a)){5}[0-9a-f]{2}(?![0-9a-z])")),
    ("MAC", re.compile(r"(?i)(?<![0-9a-z])(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}(?![0-9a-z])")),
    ("MAC", re.compile(r"(?i)(?<![0-9a-z])(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{12}(?![0-9a-z])")),
    # In UEFI device paths, which iLOs show: PciRoot(0x0)/…/MAC(9440C91A2B3C,0x1).
    ("MAC", re.compile(r"(?i)(?<=\bMAC\()[0-9a-f]{12}(?![0-9a-f])")),
    (
        "ADDRESS",
        re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.])"),
    ),
    (
        "ADDRESS",
        re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){2,7}:?(?:[0-9a-f]{1,4}:?){0,6}[0-9a-f]{1,4}(?![\w:])"),
    ),
    ("ADDRESS", re.compile(r"(?i)(?<![\w:])[0-9a-f]{1,4}::(?:[0-9a-f]{1,4}:?){1,7}(?![\w:])")),
    ("ADDRESS", re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){2,7}:(?![\w:])")),
    ("USER", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")),
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_EMPTY = frozenset(
    {"", "none", "null", "n/a", "na", "unknown", "not available", "not specified", "default string", "nil"}
    | {"to be filled by o.e.m.", "true", "false", "localhost", "0", "::"}
)
_CHOSEN = frozenset({"HOST", "USER", "TEXT"})
"""Kinds whose values are chosen by people, and may be a word that stands in names for other reasons."""
_KNOWN = "KNOWN"
_OTHER = "TEXT"
_SHORTEST = 3
"""A shorter value is replaced where it stands, but not looked for elsewhere: it would hit by chance."""


class Scrubber:
    """Replaces each sensitive value by a stand-in, the same everywhere.

    Args:
        known: Values that are sensitive wherever they stand, such as the BMC's address and the account.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._stand_ins: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._words: set[str] = set()
        self._names: set[str] = set()
        self._finder: re.Pattern[str] | None = None
        words = sorted({value for value in known if value}, key=len, reverse=True)
        # As words of their own: an account called "root" must not hit "ServiceRoot".
        either = "|".join(map(re.escape, words)) or r"(?!)"
        self._known = re.compile(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])", re.IGNORECASE)

    def documents(self, documents: Mapping[str, Any]) -> dict[str, Any]:
        """Return the documents and their paths without sensitive values.

        Args:
            documents: Path → JSON value.
        """
        for path, document in documents.items():
            self._collect(path, "")
            self._collect(document, "")
        return {self.text(path): self._clean(document, "", "") for path, document in documents.items()}

    def text(self, text: str) -> str:
        """Return ``text`` without the sensitive values seen so far."""
        if self._finder is None:
            values = sorted(filter(self._is_sought, self._stand_ins), key=len, reverse=True)
            self._finder = re.compile("|".join(map(re.escape, values)) or r"(?!)", re.IGNORECASE)
        text = self._finder.sub(lambda found: self._stand_ins[found[0].lower()], text)
        return self._known.sub(_KNOWN, text)

    def _is_sought(self, value: str) -> bool:
        """Whether a sensitive value is replaced wherever it stands, and not only where its name tells it."""
        if value in self._words:
            return not any(value in name for name in self._names)
        return len(value) >= _SHORTEST

    def _collect(self, value: Any, kind: str, key: str = "") -> None:
        if isinstance(value, Mapping):
            self._names.update(name.lower() for name in value if not name.islower())
            for name, item in value.items():
                self._collect(name, "")
                self._collect(item, _kind_of(name, within=kind), name)
        elif isinstance(value, list):
            for item in value:
                self._collect(item, kind, key)
        elif isinstance(value, str):
            if kind:
                self._note(kind, value)
            if "version" not in key.lower():
                self._collect_patterns(value)
        elif kind in _NUMBERS and isinstance(value, int) and not isinstance(value, bool):
            self._note(kind, str(value))

    def _collect_patterns(self, text: str) -> None:
        for kind, pattern in _PATTERNS:
            for found in pattern.finditer(text):
                if not _CLOCK.fullmatch(found[0]):
                    self._note(kind, found[0])

    def _note(self, kind: str, value: str) -> None:
        key = value.strip().lower()
        if key in _EMPTY or key in self._stand_ins or key.startswith(("/redfish/", "/rest/")):
            return
        self._counts[kind] = number = self._counts.get(kind, 0) + 1
        self._stand_ins[key] = _stand_in(kind, number)
        if kind in _CHOSEN and key.isalpha():
            self._words.add(key)
        if kind in {"MAC", "UUID"}:
            # Without what divides it, it is the same.
            self._stand_ins.setdefault(re.sub("[:-]", "", key), re.sub("[:-]", "", self._stand_ins[key]))
        if kind == "HOST":
            # Its parts tell as much; a label that is a plain word, such as "power", stands for other reasons.
            label, _, domain = key.partition(".")
            for part in (label if not label.isalpha() else "", domain if "." in domain else ""):
                self._stand_ins.setdefault(part or key, self._stand_ins[key])
        self._finder = None

    def _clean(self, value: Any, kind: str, key: str) -> Any:
        if isinstance(value, Mapping):
            return {
                self.text(name): self._clean(item, _kind_of(name, within=kind), name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._clean(item, kind, key) for item in value]
        if isinstance(value, str):
            whole = self._stand_ins.get(value.strip().lower()) if kind else None
            if whole is None and value.strip().lower() not in _EMPTY and not may_stay(key, value):
                return _OTHER
            return whole or self.text(value)
        if kind in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
            return 0
        return value


def _kind_of(key: str, *, within: str) -> str:
    """Return what kind of sensitive value stands under ``key`` in an object of a kind; empty for none."""
    if _NOT_SENSITIVE.search(key):
        return ""
    last = key.rpartition(".")[2]
    return next((kind for kind, pattern in _KEYS if pattern.search(last)), within)


def _stand_in(kind: str, number: int) -> str:
    """Return a value that keeps the form: addresses of RFC 5737, MACs of RFC 7042."""
    if kind == "ADDRESS":
        return f"192.0.2.{number % 256}"
    if kind == "MAC":
        return f"00:00:5E:00:53:{number % 256:02X}"
    if kind == "UUID":
        return f"00000000-0000-0000-0000-{number:012d}"
    return f"{kind}-{number}"
