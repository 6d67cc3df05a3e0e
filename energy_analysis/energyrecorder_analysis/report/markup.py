"""HTML and SVG put together so that foreign text can only come out as text.

`Markup` is what may stand in a page; a plain ``str`` becomes one through `text`, which escapes it. mypy keeps
the two apart.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import NewType

Markup = NewType("Markup", str)

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_VOID = frozenset({"br", "circle", "hr", "input", "line", "meta", "path", "polygon", "rect", "stop"})


def text(plain: str) -> Markup:
    """Return ``plain`` escaped for content and attributes; characters no page may hold become U+FFFD."""
    return Markup(html.escape(_UNPRINTABLE.sub("\ufffd", plain), quote=True))


def element(name: str, /, *content: Markup, **attributes: str | float | None) -> Markup:
    """Return one element.

    Args:
        name: Tag.
        content: What it holds.
        attributes: Values are escaped; None leaves one out, numbers are written with one decimal at most. A
            trailing underscore is dropped and others become dashes (``class_``, ``stroke_width``); a name in
            camel case stays (``viewBox``).
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not content:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(content)}</{name}>")


def join(parts: Iterable[Markup]) -> Markup:
    """Return the parts one after the other."""
    return Markup("".join(parts))


def number(value: float) -> str:
    """Return a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)
