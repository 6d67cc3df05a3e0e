"""The SDK's one edge: past it, nothing of ours is raised into the user's code."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar, cast

from energyrecorder.notices import LOG

_Method = TypeVar("_Method", bound=Callable[..., Any])


def never_raises(method: _Method) -> _Method:
    """Make a method of the SDK's edge return None where it would raise into the user's code."""

    @functools.wraps(method)
    def shielded(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception:  # noqa: BLE001  # the SDK's edge: nothing of ours may fail somebody's test
            LOG.debug("%s failed", method.__qualname__, exc_info=True)
            return None

    return cast("_Method", shielded)
