"""Ranges in ids and hosts: ``node-[01-16]`` stands for sixteen names."""

from __future__ import annotations

import itertools
import re

MAX_NAMES = 10_000
ALLOWED = "[FIRST-LAST] with whole numbers, FIRST not above LAST, such as node-[01-16]"

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")


def expand(text: str) -> list[str]:
    """Return the names that ``text`` stands for, in order; several ranges multiply, the last runs fastest.

    A leading zero in FIRST asks for that width: ``[01-16]`` gives ``01`` … ``16``.

    Raises:
        ValueError: A range runs backwards or gives more than 10,000 names.
    """
    pieces: list[list[str]] = []
    end = 0
    for match in _RANGE.finditer(text):
        pieces.extend(([text[end : match.start()]], _numbers(match[1], match[2])))
        end = match.end()
    pieces.append([text[end:]])
    count = 1
    for piece in pieces:
        count *= len(piece)
    if count > MAX_NAMES:
        raise ValueError(f"at most {MAX_NAMES} names from one range")
    return ["".join(parts) for parts in itertools.product(*pieces)]


def _numbers(first: str, last: str) -> list[str]:
    low, high = int(first), int(last)
    if low > high:
        raise ValueError(ALLOWED)
    if high - low >= MAX_NAMES:
        raise ValueError(f"at most {MAX_NAMES} names from one range")
    width = len(first) if first.startswith("0") else 0
    return [str(number).zfill(width) for number in range(low, high + 1)]
