"""Damage a BMC's JSON the way firmware does: types swapped, keys dropped or renamed, nesting changed."""

from __future__ import annotations

import copy
import random
from typing import Any

_OTHERS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 1e308, 10**30, float("nan"), float("inf")),
    *("", "N/A", "12", "12 W", "x" * 300, "\x00\n"),
    *([], [None], [[]], [{}], {}, {"Reading": None}, {"@odata.id": 5}, {"@odata.id": "/redfish/v1/x"}),
)


def mutated(document: Any, rng: random.Random, *, times: int = 3) -> Any:
    """Return a copy of ``document`` with up to ``times`` changes."""
    changed = copy.deepcopy(document)
    for _ in range(rng.randint(1, times)):
        holders = [holder for holder in _holders(changed) if holder]
        if not holders:
            break
        changed = _change(changed, rng.choice(holders), rng)
    return changed


def _change(root: Any, holder: Any, rng: random.Random) -> Any:
    key = rng.choice(sorted(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    match rng.randrange(6):
        case 0:
            del holder[key]
        case 1:
            holder[key] = copy.deepcopy(rng.choice(_OTHERS))
        case 2:
            holder[key] = [holder[key]]
        case 3:
            holder[key] = {"Value": holder[key]}
        case 4:
            holder[key] = str(holder[key])
        case _ if isinstance(holder, dict):
            holder[key.swapcase()] = holder.pop(key)
        case _:
            holder.append(copy.deepcopy(holder[key]))
    return root


def _holders(value: Any) -> list[Any]:
    found = []
    if isinstance(value, dict | list):
        found.append(value)
        for item in value.values() if isinstance(value, dict) else value:
            found += _holders(item)
    return found
