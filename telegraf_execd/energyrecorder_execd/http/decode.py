"""Makes JSON of the bytes that a BMC sent (pure)."""

from __future__ import annotations

import json
from typing import Any

import orjson

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.base import WebPageError


def decode(body: bytes, resource: str) -> Any:
    """Return the JSON value in ``body``.

    An iDRAC8 has been seen to answer with an error object followed by the real one; the last object that is
    no error is then taken.

    Args:
        body: As received.
        resource: Path, for the message.

    Raises:
        WebPageError: It is HTML or XML.
        BmcDataError: It is something else that is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        wrong = f"{error.msg}, character {error.pos} of {len(error.doc)}"
        # Bytes that orjson refuses although the JSON in them is whole: BOM, trailing NULs.
        text = body.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\0 \r\n\t")
    values = _concatenated(text)
    objects = [value for value in values if isinstance(value, dict) and "error" not in value]
    if objects:
        return objects[-1]
    start = text[:40]
    kind = WebPageError if start.lstrip().startswith("<") else BmcDataError
    raise kind(f"{resource}: the body is not JSON ({wrong}), it begins {start!r}", reason="data")


def _concatenated(text: str) -> list[Any]:
    decoder = json.JSONDecoder()
    values: list[Any] = []
    position = 0
    try:
        while position < len(text):
            value, position = decoder.raw_decode(text, position)
            values.append(value)
            while position < len(text) and text[position].isspace():
                position += 1
    except (ValueError, RecursionError):
        return []
    return values
